"""Words that every part of `model.yaml` uses: names, files of the package, digests, UIDs."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

from config.messages import refusal

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise refusal(
            "this is not a SHA-256 digest (64 digits 0-9 a-f)",
            "run `python -m models.seal FOLDER`, which writes the digests of the files",
        )
    return text


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text:
        raise refusal("the file must lie inside the package", "write a path relative to model.yaml")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise refusal("not a name", "use a-z, 0-9 and _, first a letter, 40 at most")
    return text


def _uid(text: str) -> str:
    if len(text) > 64 or not _UID.fullmatch(text):
        raise refusal("not a UID (PS3.5 section 9.1)", "numbers and dots, 64 characters at most")
    return text


def _line(text: str) -> str:
    # It is printed on terminals and pages as it is.
    if not text.isprintable():
        raise refusal("a line break or a control character", "write one line of plain text")
    return text


Sha256 = Annotated[str, AfterValidator(_sha256)]
PackageFile = Annotated[str, AfterValidator(_inside)]
Name = Annotated[str, AfterValidator(_name)]
Uid = Annotated[str, AfterValidator(_uid)]
Positive = Annotated[float, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]
#: As people read it, e.g. a title.
Line = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_line)]
#: Of one job, s and MB (10^6): at most a day and a terabyte, so that no worker is lost for ever.
JobTime = Annotated[float, Field(gt=0, le=86_400)]
JobMemory = Annotated[int, Field(ge=256, le=1_000_000)]
