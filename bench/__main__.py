"""`make bench`: every ratio in one run, on a folder of yours or on a simulated study."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import acknowledgement, ingest
from node.demo.simulated import simulate


def main() -> int:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--folder", type=Path, help="one CT series; default: a simulated study")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        folder = options.folder or simulate(0, Path(scratch)).folder
        print(ingest.report(), flush=True)
        print(acknowledgement.report(), flush=True)
        for module, arguments in (
            ("volume", [str(folder)]),
            ("windows", []),
            ("device", []),
            ("plan", []),
        ):
            print(f"{module}:", flush=True)
            command = [sys.executable, "-m", f"bench.{module}", *arguments]
            subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
