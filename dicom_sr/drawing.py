"""Text, pictures and overlays on an RGB page, with Pillow alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
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
RED: Final[Colour] = (255, 108, 96)
BLUE: Final[Colour] = (124, 190, 255)

#: Of the outline of a mask, and of its filling.
FILL_ALPHA: Final = 0.34
#: Between a picture and the letters at its sides, px.
LETTER_GAP: Final = 6
#: Between the lines of a note, and the room that one has at least before its words are broken, px.
NOTE_GAP: Final = 4
NARROWEST_NOTE: Final = 90
#: 14 px when a page of 1024 px is shown at 512 px: no text anywhere is smaller.
SMALLEST: Final = 28
#: Stand-ins for raised digits while text is measured and wrapped (private use area).
SQUARED: Final = "\ue002"
CUBED: Final = "\ue003"
#: Characters that lose their meaning when only their accents are dropped.
SPELT_OUT: Final = str.maketrans(
    {
        "²": SQUARED,
        "³": CUBED,
        "ß": "ss",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ð": "d",
        "þ": "th",
        "\u0131": "i",
        "µ": "u",
        "μ": "u",
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2192": "->",
        "\u00d7": "x",
        "\u2265": ">=",
        "\u2264": "<=",
    }
)
#: A character that no font has: what it looks like is how a missing glyph looks.
MISSING: Final = "\uffff"
#: Widths that are kept: lines are measured again and again while they are fitted.
_MEASURED: Final = 1024


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


#: Spaces, but for those between a number and its unit.
_BETWEEN_WORDS = re.compile(r"(?<!\d)\s+|\s+(?!(?:mm|cm|ml|HU|%)(?:\W|[\ue002\ue003]|$))")


def printable(text: str) -> str:
    """The text in characters that the font has: accents dropped, "?" for other scripts."""
    plain = unicodedata.normalize("NFKC", text.translate(SPELT_OUT)).strip()
    return "".join(_drawable(c) for c in plain)


def _drawable(character: str) -> str:
    if character in (" ", SQUARED, CUBED):
        return character
    if character.isprintable() and _has_glyph(character):
        return character
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() and base.isprintable() else "?"


@lru_cache(_MEASURED)
def text_width(text: str, size: int) -> int:
    """Advance width of one line, px."""
    return int(np.ceil(sum(font(each).getlength(run) for run, each, _ in _runs(text, size))))


def _runs(text: str, size: int) -> Iterator[tuple[str, int, int]]:
    """(characters, font size, px above the line) of the stretches of a line.

    The font has no raised digits, so they are drawn: never smaller than any other text.
    """
    for run in re.split(f"([{SQUARED}{CUBED}])", printable(text)):
        if run in (SQUARED, CUBED):
            yield "2" if run == SQUARED else "3", min(size, SMALLEST), size // 3
        elif run:
            yield run, size, 0


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
    """Words, and a number with its unit where there is room for both on one line."""
    for whole in _BETWEEN_WORDS.split(text.strip()):
        for word in [whole] if text_width(whole, size) <= width else whole.split():
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
        x, y = float(at[0]), at[1] + font(size).getmetrics()[0]
        for run, each, raised in _runs(text, size):
            self.draw.text((x, y - raised), run, font=font(each), fill=colour, anchor="ls")
            x += font(each).getlength(run)

    def text_right(self, at: tuple[int, int], text: str, size: int, colour: Colour = TEXT) -> None:
        """One line, its top right corner at `at`."""
        self.text((at[0] - text_width(text, size), at[1]), text, size, colour)

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
        """The part of a key image around its overlays, as large as fits the box.

        Returns:
            (left, top, right, bottom) that it covers with its letters, px.
        """
        left, top, right, bottom = self.whole_picture(cropped(key), box, letter_size)
        aside, above = _letter_room(key, letter_size)
        return left - aside, top - above, right + aside, bottom + above

    def whole_picture(self, key: KeyImage, box: Box, letter_size: int) -> Box:
        """A key image with its overlays, as large as fits the box in its true aspect.

        The letters of its edges stand beside it: on the anatomy, an F could be read as a level.

        Returns:
            (left, top, right, bottom) of the image itself, without its letters, px.
        """
        aside, above = _letter_room(key, letter_size)
        left, top, right, bottom = box
        left, top, right, bottom = left + aside, top + above, right - aside, bottom - above
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
        # Beside the picture the page is black: a note may go on there, where no letter stands.
        room = covered[2] if key.edges[1] else right
        self._notes(key, covered, letter_size, room)
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

    def _notes(self, key: KeyImage, covered: Box, size: int, room: int) -> None:
        """Words from their place to the right, to `room`: wrapped, not cut, none on another."""
        left, top, right, bottom = covered
        rows, columns = key.pixels.shape
        line = size + NOTE_GAP
        free: dict[int, int] = {}
        for column, row, words in sorted(key.notes, key=lambda note: note[1]):
            x = left + round(column / columns * (right - left))
            lines = wrapped(words, size, max(room - x, NARROWEST_NOTE))
            middle = top + round(row / rows * (bottom - top)) - line * (len(lines) - 1) // 2
            y = max(min(middle, bottom - line * len(lines) + line // 2), free.get(x, 0))
            for number, text in enumerate(lines):
                self.on_image((x, y + line * number), text, size, "lm")
            free[x] = y + line * len(lines)

    def _letters(self, key: KeyImage, covered: Box, size: int) -> None:
        left, top, right, bottom = covered
        middle_x, middle_y = (left + right) // 2, (top + bottom) // 2
        places = (
            ((left - LETTER_GAP, middle_y), "rm"),
            ((right + LETTER_GAP, middle_y), "lm"),
            ((middle_x, top), "md"),
            ((middle_x, bottom), "ma"),
        )
        for letter, (at, anchor) in zip(key.edges, places, strict=True):
            if letter:
                self.on_image(at, letter, size, anchor)


def _letter_room(key: KeyImage, size: int) -> tuple[int, int]:
    """Room that the letters take at each side, and above and below, px."""
    beside = max((text_width(letter, size) for letter in key.edges[:2]), default=0)
    # A capital has no descender: the room for it is the gap.
    return (
        beside + 2 * LETTER_GAP if any(key.edges[:2]) else 0,
        size if any(key.edges[2:]) else 0,
    )


def cropped(key: KeyImage) -> KeyImage:
    """The part around the overlays: air beside the patient says nothing.

    At least 60 % of either side is kept, so that a small finding keeps its surroundings; a
    picture without overlays, or with marks outside of the part, is shown whole.
    """
    rows, columns = key.pixels.shape
    union = np.zeros((rows, columns), bool)
    for overlay in key.overlays:
        union |= overlay.mask
    if not union.any():
        return key
    first_row, last_row = _span(np.asarray(union.any(axis=1)), rows)
    first_column, last_column = _span(np.asarray(union.any(axis=0)), columns)
    for column, row, _ in key.marks + key.notes:
        if not (first_row <= row <= last_row and first_column <= column <= last_column):
            return key
    part = (slice(first_row, last_row), slice(first_column, last_column))
    return replace(
        key,
        pixels=key.pixels[part],
        overlays=tuple(replace(item, mask=item.mask[part]) for item in key.overlays),
        marks=tuple((c - first_column, r - first_row, label) for c, r, label in key.marks),
        notes=tuple((c - first_column, r - first_row, words) for c, r, words in key.notes),
    )


def _span(occupied: NDArray[np.bool_], length: int) -> tuple[int, int]:
    """First and one past the last index to keep of one side."""
    where = np.flatnonzero(occupied)
    margin = round(0.06 * length)
    first, last = int(where[0]) - margin, int(where[-1]) + 1 + margin
    missing = round(0.6 * length) - (last - first)
    if missing > 0:
        first, last = first - missing // 2, last + missing - missing // 2
    shift = max(0, -first) - max(0, last - length)
    return max(0, first + shift), min(length, last + shift)


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
    box = _box(smooth >= 128)
    if box is None:
        return
    # A pixel beyond the box is outside of the mask, as one beyond the border is.
    inside = smooth[box] >= 128
    part = colours[box]
    tint = np.asarray(overlay.colour, np.float32)
    if overlay.filled:
        part[inside] = (1 - FILL_ALPHA) * part[inside] + FILL_ALPHA * tint
    part[inside & ~_eroded(inside, thickness)] = tint


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The rows and columns that hold a mask; None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


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
