"""`python -m models.seal FOLDER`: write the digests of a package's files into its model.yaml.

For whoever makes or retrains a package; the node itself never seals, it only verifies.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from models.registry import MANIFEST_NAME, file_sha256

# A file's line and, straight below it, the line of its digest.
_PAIR = re.compile(
    r"(?P<head>^[ -]*(?:path|inputs|expected): (?P<file>\S+)\n"
    r" *(?:inputs_|expected_)?sha256: )(?P<digest>\S+)$",
    re.MULTILINE,
)


def seal(folder: Path) -> str:
    """Rewrite the digests; comments and order stay. Returns the new text of model.yaml."""
    manifest = folder / MANIFEST_NAME

    def stated(match: re.Match[str]) -> str:
        file = folder / match["file"]
        # A package under construction may list files that are not made yet.
        digest = file_sha256(file) if file.is_file() else "0" * 64
        return f'{match["head"]}"{digest}"'

    text = manifest.read_text(encoding="utf-8")
    text = _PAIR.sub(stated, text)
    manifest.write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        seal(Path(argument))
