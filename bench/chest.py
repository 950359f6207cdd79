"""The chest packages on one simulated chest of about 300 slices of 1 mm: share of each stage.

    python -m bench.chest [--rounds 1]

The same measurement as `bench.overhead`, one package after the other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from models.phantoms import FIRST_TEST_SEED
from models.phantoms.chest import ChestOptions, simulate_chest
from models.phantoms.chest_setup import ContrastPhase
from models.phantoms.scanner import write_ct_series

MODELS = ("lung_nodules", "pulmonary_embolism")
#: A chest of 335 slices.
SEED = FIRST_TEST_SEED + 50


def main() -> None:
    """Simulate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        folder = Path(scratch) / "chest"
        chest = ChestOptions(slice_mm=1.0, phase=ContrastPhase.PULMONARY)
        write_ct_series(simulate_chest(SEED, chest), folder)
        for model in MODELS:
            command = [sys.executable, "-m", "bench.overhead", "--model", model]
            command += ["--folder", str(folder), "--rounds", str(options.rounds)]
            subprocess.run(command, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
