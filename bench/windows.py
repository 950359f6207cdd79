"""What sliding windows cost besides the network: cutting, weighting, stitching.

    python -m bench.windows

The network is a copy of its input into every class, so nearly all of the time is ours.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from numpy.typing import NDArray

from inference.windows import Windowing, run_stack

CASES = {
    # name: (images, spatial, classes, windowing)
    "levels: one CT at 4 mm, 15 classes": (
        1,
        (150, 125, 125),
        15,
        Windowing(patch=(96, 80, 112), overlap=0.5, batch=1),
    ),
    "regions: 100 slices at 2 mm, 7 classes": (
        100,
        (250, 250),
        7,
        Windowing(patch=(256, 256), overlap=0.0, batch=4),
    ),
    "2 classes, 300 cubed, windows of 96 cubed": (
        1,
        (300, 300, 300),
        2,
        Windowing(patch=(96, 96, 96), overlap=0.25, batch=1),
    ),
}


def main() -> None:
    """Print the median seconds of each case and its windows per second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    for name, (count, spatial, classes, windowing) in CASES.items():
        images = np.random.default_rng(1).random((count, 1, *spatial), np.float32)
        seconds = []
        windows = 0

        def copy(batch: NDArray[np.float32], classes: int = classes) -> NDArray[np.float32]:
            nonlocal windows
            windows += len(batch)
            return np.repeat(batch, classes, axis=1)

        for _ in range(rounds):
            windows = 0
            started = time.perf_counter()
            run_stack(copy, images, windowing)
            seconds.append(time.perf_counter() - started)
        median = statistics.median(seconds)
        print(f"{name}: {windows} windows, {median:.2f} s, {median / windows * 1000:.1f} ms each")


if __name__ == "__main__":
    main()
