"""`make bench`: every ratio in one run, on a folder of yours or on a simulated study."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import acknowledgement, ingest
from node.demo.simulated import simulate

#: Each is a program of its own; those that need a peer that is not installed say so.
PROGRAMS = (
    "volume",
    "decoding",
    "resampling",
    "windows",
    "monai",
    "overhead",
    "published",
    "chest",
    "device",
    "plan",
)
#: Need PyTorch and MONAI, which serving does not: run in the import environment where it is.
IN_IMPORT_ENVIRONMENT = ("monai", "published")
IMPORT_PYTHON = Path(".venv-import/bin/python")
REPORTS = {"ingest": ingest.report, "acknowledgement": acknowledgement.report}


def main() -> int:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--folder", type=Path, help="one CT series; default: a simulated study")
    parser.add_argument("--only", choices=(*REPORTS, *PROGRAMS), help="one of them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        folder = options.folder
        for name, report in REPORTS.items():
            if options.only in (None, name):
                print(report(), flush=True)
        for name in PROGRAMS:
            if options.only not in (None, name):
                continue
            print(f"{name}:", flush=True)
            elsewhere = name in IN_IMPORT_ENVIRONMENT and IMPORT_PYTHON.is_file()
            python = str(IMPORT_PYTHON) if elsewhere else sys.executable
            command = [python, "-m", f"bench.{name}"]
            if name == "overhead":
                folder = folder or simulate(0, Path(scratch)).folder
                command += ["--folder", str(folder)]
            elif name == "volume" and folder is not None:
                command.append(str(folder))
            subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
