"""From the bytes of a file to its text: UTF-8, and a remedy for everything else."""

from __future__ import annotations

from pathlib import Path

from config.syntax import Place, SyntaxFault, place_of_index

#: A large site has some hundred settings in some ten kilobytes.
MAX_BYTES = 250_000


def read_text(path: Path, option: str) -> str:
    """The text of a file; raises SyntaxFault where it cannot be read.

    `option`: of the command line, that names such a file; "" where a package brings it.
    """
    start = Place(1, 1)
    try:
        if path.is_dir():
            inside = "/appliance.yaml" if option == "--config" else ""
            remedy = f"name the file: {path}{inside}" if inside else f"name a file with {option}"
            raise SyntaxFault(start, "a folder, not a file", remedy)
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SyntaxFault(
            start, "no such file", f"check the spelling, or give the file with {option} FILE"
        ) from None
    except OSError as error:
        raise SyntaxFault(
            start,
            f"the file cannot be read ({error.strerror})",
            "let the account that runs Vigie read it, with chown or chmod",
        ) from None
    if len(raw) > MAX_BYTES:
        raise SyntaxFault(
            start,
            f"the file is larger than {MAX_BYTES:,} bytes",
            right_file(option),
        )
    return _decoded(raw, option)


def right_file(option: str) -> str:
    """What to do where a file cannot be what it should be."""
    if not option:
        return "install the package again, whole"
    return f"check that {option} names the right file"


def _decoded(raw: bytes, option: str) -> str:
    if _is_utf16(raw):
        raise SyntaxFault(
            Place(1, 1), "the file is encoded as UTF-16", "save it again with the encoding UTF-8"
        )
    if b"\x00" in raw:
        raise SyntaxFault(Place(1, 1), "this is no text file", right_file(option))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        raise SyntaxFault(
            place_of_index(before, len(before)),
            "a letter that is not UTF-8, as old Windows editors write it",
            "save the file again with the encoding UTF-8",
            f"byte 0x{raw[error.start]:02x}",
        ) from None


def _is_utf16(raw: bytes) -> bool:
    """By its byte order mark, or by Latin letters with a zero byte beside each."""
    head = raw[:200]
    marked = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    low, high = head[0::2], head[1::2]
    letters, zeros = (low, high) if b"\x00" in high else (high, low)
    wide = bool(zeros) and not any(zeros) and all(c in b"\t\n\r" or c >= 0x20 for c in letters)
    return wide or (marked and b"\x00" in head)
