"""Letters without case and accents, for comparing words in any Latin alphabet."""

from __future__ import annotations

import unicodedata
from typing import Final

#: Letters that Unicode does not take apart into a plain one and an accent.
_WHOLE: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe"}
)


def plain_letters(text: str) -> str:
    """ "Głowa" and "GLOWA" both become "glowa", "Schädel" becomes "schadel"."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return plain.translate(_WHOLE)
