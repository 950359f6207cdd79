"""`python -m models.seal FOLDER`: write the digests of a package's files into its model.yaml.

For whoever makes or retrains a package; the node itself never seals, it only verifies.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Seal every folder that is named; exit code 2 where one is no package."""
    parser = argparse.ArgumentParser(prog="python -m models.seal", description=seal.__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="models/NAME")
    for folder in parser.parse_args(arguments).folders:
        if not (folder / MANIFEST_NAME).is_file():
            parser.error(
                f"{folder} holds no {MANIFEST_NAME}; name the folder of a package, for example "
                "models/NAME"
            )
        try:
            seal(folder)
        except UnicodeDecodeError:
            parser.error(f"{folder / MANIFEST_NAME} is not text in UTF-8; write it anew")
        except OSError as error:
            parser.error(
                f"{error.filename} cannot be read or written ({error.strerror}); mend its rights"
            )


if __name__ == "__main__":
    main()
