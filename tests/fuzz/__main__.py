"""`make fuzz`: libFuzzer, through atheris, on every target in turn, for a given time.

What it finds is written to `tests/fuzz/corpus/TARGET/`; commit what made a difference, so that
`tests/fuzz/test_corpus.py` holds every later version to it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
TARGET_NAMES = ("association", "data_set", "header")


def main() -> int:
    """Fuzz all targets, or one of them."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", choices=TARGET_NAMES)
    options = parser.parse_args()
    if options.target:
        return fuzz(options.target, options.seconds)
    # libFuzzer ends its process; each target gets one.
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(options.seconds), "--target"]
    return max(subprocess.call([*command, name]) for name in TARGET_NAMES)


def fuzz(name: str, seconds: int) -> int:
    """Run one target until the time is over or it fails; libFuzzer prints what it does."""
    import atheris  # noqa: PLC0415 - only in the environment of `make fuzz`

    with atheris.instrument_imports(include=["scp", "inference"]):
        from tests.fuzz.targets import TARGETS, seeds  # noqa: PLC0415

    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = [sys.argv[0], f"-max_total_time={seconds}", "-max_len=8192", "-timeout=20"]
    arguments += [f"-artifact_prefix={corpus}/found-", str(corpus)]
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
