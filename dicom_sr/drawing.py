"""Text, pictures and overlays on an RGB page, with Pillow alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from node.domain.finding import KeyImage, Overlay

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

BLACK: Final[Colour] = (0, 0, 0)
PANEL: Final[Colour] = (20, 23, 28)
RULE: Final[Colour] = (62, 68, 78)
TEXT: Final[Colour] = (236, 239, 242)
QUIET: Final[Colour] = (168, 176, 186)
AMBER: Final[Colour] = (255, 191, 64)
GREEN: Final[Colour] = (96, 208, 128)
RED: Final[Colour] = (255, 108, 96)

#: Of the outline of a mask, and of its filling.
FILL_ALPHA: Final = 0.34
#: A character that no font has: what it looks like is how a missing glyph looks.
MISSING: Final = "\uffff"


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in scalable font."""
    loaded = ImageFont.load_default(size)
    assert isinstance(loaded, ImageFont.FreeTypeFont)
    return loaded


@cache
def _has_glyph(character: str) -> bool:
    probe = font(24)
    return bytes(probe.getmask(character)) != bytes(probe.getmask(MISSING))


def printable(text: str) -> str:
    """The text with "?" for whatever the font cannot draw, control characters included."""
    return "".join(
        c if c == " " or (c.isprintable() and _has_glyph(c)) else "?" for c in text.strip()
    )


def text_width(text: str, size: int) -> int:
    """Advance width of one line, px."""
    return int(np.ceil(font(size).getlength(text)))


def wrapped(text: str, size: int, width: int) -> list[str]:
    """Lines no wider than `width` px; a word that alone is wider is broken."""
    lines: list[str] = []
    for word in _words(printable(text), size, width):
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(joined, size) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines or [""]


def _words(text: str, size: int, width: int) -> Iterable[str]:
    for word in text.split():
        rest = word
        while text_width(rest, size) > width:
            cut = len(rest) - 1
            while cut > 1 and text_width(rest[:cut], size) > width:
                cut -= 1
            yield rest[:cut]
            rest = rest[cut:]
        yield rest


def shortened(text: str, size: int, width: int) -> str:
    """One line, ended with "..." when it would be wider than `width` px."""
    text = printable(text)
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "...", size) > width:
        text = text[:-1]
    return text.rstrip() + "..."


@dataclass(slots=True)
class Canvas:
    """One page being drawn, and where its text ran to."""

    image: Image.Image
    draw: ImageDraw.ImageDraw

    @classmethod
    def blank(cls, size: int) -> Canvas:
        """A black square page."""
        image = Image.new("RGB", (size, size), BLACK)
        return cls(image, ImageDraw.Draw(image))

    def text(self, at: tuple[int, int], text: str, size: int, colour: Colour = TEXT) -> None:
        """One line, its top left corner at `at`."""
        self.draw.text(at, printable(text), font=font(size), fill=colour)

    def text_right(self, at: tuple[int, int], text: str, size: int, colour: Colour = TEXT) -> None:
        """One line, its top right corner at `at`."""
        self.draw.text(at, printable(text), font=font(size), fill=colour, anchor="ra")

    def text_centred(
        self, at: tuple[int, int], text: str, size: int, colour: Colour = TEXT
    ) -> None:
        """One line, centred on `at`."""
        self.draw.text(at, printable(text), font=font(size), fill=colour, anchor="mm")

    def on_image(self, at: tuple[int, int], text: str, size: int, anchor: str) -> None:
        """A line on a picture, readable on black and on white."""
        self.draw.text(
            at,
            printable(text),
            font=font(size),
            fill=TEXT,
            anchor=anchor,
            stroke_width=3,
            stroke_fill=BLACK,
        )

    def rule(self, y: int, left: int, right: int) -> None:
        """A thin horizontal line."""
        self.draw.line((left, y, right, y), fill=RULE, width=2)

    def chip(self, at: tuple[int, int], side: int, colour: Colour) -> None:
        """A small coloured square that explains an overlay."""
        x, y = at
        self.draw.rounded_rectangle((x, y, x + side, y + side), radius=4, fill=colour)

    def picture(self, key: KeyImage, box: Box, letter_size: int) -> Box:
        """The key image with its overlays, as large as fits the box in its true aspect.

        Returns:
            (left, top, right, bottom) that it covers, px.
        """
        left, top, right, bottom = box
        rows, columns = key.pixels.shape
        height_mm = rows * key.pixel_mm[0]
        width_mm = columns * key.pixel_mm[1]
        scale = min((right - left) / width_mm, (bottom - top) / height_mm)
        width, height = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
        x = left + (right - left - width) // 2
        y = top + (bottom - top - height) // 2
        self.image.paste(render(key, width, height), (x, y))
        covered = (x, y, x + width, y + height)
        self._marks(key, covered, letter_size)
        self._letters(key, covered, letter_size)
        return covered

    def _marks(self, key: KeyImage, covered: Box, size: int) -> None:
        left, top, right, bottom = covered
        rows, columns = key.pixels.shape
        for column, row, label in key.marks:
            x = left + round(column / columns * (right - left))
            y = top + round(row / rows * (bottom - top))
            self.draw.line((x - 9, y, x + 9, y), fill=AMBER, width=3)
            self.draw.line((x, y - 9, x, y + 9), fill=AMBER, width=3)
            side = "lm" if x + 14 + text_width(label, size) < right else "rm"
            self.on_image((x + 14 if side == "lm" else x - 14, y), label, size, side)

    def _letters(self, key: KeyImage, covered: Box, size: int) -> None:
        left, top, right, bottom = covered
        middle_x, middle_y = (left + right) // 2, (top + bottom) // 2
        places = (
            ((left + 10, middle_y), "lm"),
            ((right - 10, middle_y), "rm"),
            ((middle_x, top + 6), "ma"),
            ((middle_x, bottom - 6), "md"),
        )
        for letter, (at, anchor) in zip(key.edges, places, strict=True):
            if letter:
                self.on_image(at, letter, size, anchor)


def render(key: KeyImage, width: int, height: int) -> Image.Image:
    """The windowed picture with its overlays, (width, height) px."""
    centre, span = key.window
    # Linear window of PS3.3 C.11.2.1.2.1, to 8 bits.
    grey = np.clip((key.pixels - (centre - 0.5)) / max(span - 1.0, 1e-6) + 0.5, 0.0, 1.0)
    grey = np.nan_to_num(grey)
    plain = Image.fromarray((grey * 255.0 + 0.5).astype(np.uint8))
    plain = plain.resize((width, height), Image.Resampling.BICUBIC)
    colours = np.repeat(np.asarray(plain, np.float32)[:, :, None], 3, axis=2)
    thickness = max(2, width // 320)
    for overlay in key.overlays:
        _blend(colours, overlay, thickness)
    return Image.fromarray((np.clip(colours, 0, 255) + 0.5).astype(np.uint8))


def _blend(colours: NDArray[np.float32], overlay: Overlay, thickness: int) -> None:
    height, width = colours.shape[:2]
    mask = Image.fromarray(overlay.mask.astype(np.uint8) * 255)
    smooth = np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR))
    inside = smooth >= 128
    tint = np.asarray(overlay.colour, np.float32)
    if overlay.filled:
        colours[inside] = (1 - FILL_ALPHA) * colours[inside] + FILL_ALPHA * tint
    colours[inside & ~_eroded(inside, thickness)] = tint


def _eroded(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """The mask without its outermost `steps` pixels (4-neighbourhood; page border is outside)."""
    inner = mask
    for _ in range(steps):
        padded = np.pad(inner, 1)
        inner = (
            padded[1:-1, 1:-1]
            & padded[:-2, 1:-1]
            & padded[2:, 1:-1]
            & padded[1:-1, :-2]
            & padded[1:-1, 2:]
        )
    return inner
