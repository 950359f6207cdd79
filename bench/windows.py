"""What sliding windows cost besides the network: cutting, weighting, stitching.

    python -m bench.windows

The network is a copy of its input into every class, so nearly all of the time is ours; with a
network of any cost, the last case says what a region of interest saves (`models/PACKAGE.md`).
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from numpy.typing import NDArray

from bench.ratios import interleaved, told
from inference.steps.image import Image
from inference.steps.interest import region_of_interest
from inference.windows import Region, Windowing, run_labels, run_stack
from models.manifest_region import RegionOfInterest

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
    _region(rounds)


def _region(rounds: int) -> None:
    """A body in a field of 500 mm, on 192 x 256 x 256 voxels of about 2 mm; windows of 64 cubed."""
    rows, columns = np.mgrid[:256, :256]
    is_body = ((rows - 128) / 62) ** 2 + ((columns - 128) / 90) ** 2 < 1
    image = np.where(is_body, 40, -1000).astype(np.int16)[np.newaxis]
    image = np.repeat(image[np.newaxis], 192, axis=1)
    windowing = Windowing(patch=(64, 64, 64), overlap=0.5, batch=1)
    step = RegionOfInterest(above=-500.0, parts="largest", filled=True, margin_mm=10.0)
    affine = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1.0]])
    counted = {"everywhere": 0, "region of interest": 0}

    def run(name: str, region: Region | None) -> None:
        counted[name] = 0

        def costly(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            counted[name] += len(batch)
            return np.concatenate([batch, np.tanh(np.exp(-(batch**2)))], axis=1)

        run_labels(costly, image.astype(np.float32), windowing, region)

    def looked() -> None:
        found = region_of_interest(Image(values=image, affine=affine), step).region
        assert found is not None
        run("region of interest", Region(mask=found.mask))

    seconds = interleaved(
        {"region of interest": looked, "everywhere": lambda: run("everywhere", None)}, rounds
    )
    print("a body in a field of 500 mm, 192 x 256 x 256, making the region included:")
    print(told(seconds, reference="everywhere"))
    print(f"  windows: {counted['region of interest']} instead of {counted['everywhere']}")


if __name__ == "__main__":
    main()
