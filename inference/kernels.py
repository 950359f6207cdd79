"""The class of a reconstruction kernel from the name that its manufacturer gives it.

ConvolutionKernel (PS3.3 C.8.2.1) is free text: "B30f", ["Br40f", "3"], "STANDARD", "FC51", "YA".
"""

from __future__ import annotations

import re

#: Words that some manufacturers write out, first match counts.
_WORDS = (
    ("LUNG", "lung"),
    ("CHST", "soft"),
    ("BONE", "bone"),
    ("EDGE", "bone"),
    ("ULTRA", "bone"),
    ("SOFT", "soft"),
    ("STAND", "soft"),
    ("STD", "soft"),
    ("STND", "soft"),
    ("SMOOTH", "soft"),
    ("DETAIL", "soft"),
    ("BRAIN", "soft"),
    ("BODY", "soft"),
    ("LIVER", "soft"),
)
#: Philips names its kernels with one or two letters.
_PHILIPS = {
    **dict.fromkeys(("A", "B", "C", "AB", "UA", "UB", "UC", "XA", "XB", "XC", "SA", "SB"), "soft"),
    **dict.fromkeys(("L", "YA", "YB"), "lung"),
    **dict.fromkeys(("D", "E", "YC", "YD", "EB", "EC", "IE", "IF"), "bone"),
}
#: Siemens: letters of the region, sharpness 10 to 98, letter of the scan mode ("B30f", "Br59d").
_SIEMENS = re.compile(r"([A-Z][A-Za-z]?)([0-9]{2})[A-Za-z]?")
#: Canon and Toshiba: FC01 to FC90.
_CANON = re.compile(r"FC([0-9]{2})")


def kernel_class(name: str) -> str | None:
    """ "soft", "lung" or "bone"; "unknown" for a name that says nothing; None without a name."""
    first = re.split(r"[\\,\s\[\]']+", name.strip("[]' "))[0]
    if not first:
        return None
    upper = first.upper()
    if upper in _PHILIPS:
        return _PHILIPS[upper]
    canon = _CANON.match(upper)
    if canon:
        return _canon(int(canon[1]))
    siemens = _SIEMENS.fullmatch(first)
    if siemens:
        return _siemens(siemens[1].upper(), int(siemens[2]))
    whole = name.upper()
    return next((found for word, found in _WORDS if word in whole), "unknown")


def _canon(number: int) -> str:
    if 30 <= number < 40 or number >= 80:
        return "bone"
    return "lung" if 50 <= number < 60 else "soft"


def _siemens(letters: str, sharpness: int) -> str:
    if letters == "BL" and sharpness >= 50:
        return "lung"
    if letters[0] == "T":  # topograms
        return "unknown"
    if letters[0] == "U" or (letters[0] in "BIJQ" and sharpness >= 80):
        return "bone"
    if sharpness < 50:
        return "soft"
    return "bone" if letters[0] == "H" else "lung"
