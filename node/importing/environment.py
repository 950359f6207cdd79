"""The import environment: another interpreter, with the frameworks, that the node never loads."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.domain.errors import ImportRefused

ROOT = Path(__file__).resolve().parents[2]
#: Where `make import-env` puts it.
DEFAULT_PYTHON = ROOT / ".venv-import" / "bin" / "python"
_PROBE = """
import importlib.util, sys
print("\\n".join(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))
"""
_PROBE_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class ImportEnvironment:
    """An interpreter that has what an importer needs."""

    python: Path


def find_environment(python: Path | None, needed: Sequence[str]) -> ImportEnvironment:
    """The interpreter of the import environment.

    Args:
        python: as asked for on the command line; None for `.venv-import`.
        needed: modules that must be installed in it, e.g. ("torch", "monai").

    Raises:
        ImportRefused: there is none, or a module is lacking.
    """
    path = python or DEFAULT_PYTHON
    if not path.exists():
        raise ImportRefused.once(
            str(path),
            "there is no import environment",
            "run `make import-env` once (PyTorch and MONAI for the CPU, about 1 GB), or name an "
            "interpreter with --python",
        )
    try:
        probe = subprocess.run(  # noqa: S603 - the interpreter that the operator named
            [str(path), "-I", "-c", _PROBE, *needed],
            capture_output=True,
            text=True,
            timeout=_PROBE_LIMIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ImportRefused.once(
            str(path),
            f"it does not start ({type(error).__name__})",
            "remove .venv-import and run `make import-env` again",
        ) from None
    if missing := probe.stdout.split():
        raise ImportRefused.once(
            str(path),
            f"the import environment lacks {', '.join(missing)}",
            "run `make import-env`; for nnU-Net see models/IMPORT.md",
        )
    return ImportEnvironment(path)
