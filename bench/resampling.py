"""Resampling of a CT of 600 slices to 1.5 mm, against SciPy at equal values.

python -m bench.resampling [--slices 300]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from scipy import ndimage

from bench.ratios import as_in_a_worker, interleaved, told
from inference.resampling import resample, zoom

ROUNDS = 3


def main() -> None:
    """Print the ratios and the largest difference."""
    as_in_a_worker("bench.resampling")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300, help="of 512 x 512")
    slices = parser.parse_args().slices
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(slices, 512, 512)).astype(np.float32)
    image = (ndimage.uniform_filter(noise, 3) * 3000).astype(np.int16)
    shape = (round(slices / 1.5), 256, 256)
    factors = [new / old for old, new in zip(image.shape, shape, strict=True)]
    found: dict[str, Any] = {}

    def keep(name: str, result: Any) -> None:  # noqa: ANN401 - an image of either
        found[name] = result

    cubic = {
        "vigie": lambda: keep("vigie", zoom(image, shape, 3)),
        "scipy zoom": lambda: keep(
            "scipy", ndimage.zoom(image, factors, order=3, output=np.float32)
        ),
    }
    print(f"cubic, {image.shape} int16 to {shape}")
    print(told(interleaved(cubic, ROUNDS), reference="scipy zoom", target="8 times as fast"))
    print(f"  largest difference {np.abs(found['vigie'] - found['scipy']).max():.5f} HU")

    matrix = np.diag([old / new for old, new in zip(image.shape, shape, strict=True)] + [1.0])
    linear = {
        "vigie": lambda: keep("vigie", resample(image, matrix, shape)),
        "scipy affine_transform": lambda: keep(
            "scipy",
            ndimage.affine_transform(
                image, matrix[:3, :3], output_shape=shape, output=np.float32, order=1,
                mode="nearest",
            ),
        ),
    }  # fmt: skip
    print("linear, the same grid")
    print(told(interleaved(linear, ROUNDS), reference="scipy affine_transform"))
    print(f"  largest difference {np.abs(found['vigie'] - found['scipy']).max():.5f} HU")


if __name__ == "__main__":
    main()
