"""`python -m node.evaluation.golden_nodules`: make the golden case of the lung nodule package.

A drawn cube of lung with a nodule, a vessel and a wall, and a fixed sample of what each network
answers on the CPU. Run it after training, then `python -m models.seal models/lung_nodules`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.engine import EngineOptions, open_network
from models.lung_nodules.cubes import toned
from models.manifest import NetworkSpec
from models.registry import read_manifest

SEED = 1_900_003
#: Values of each output that are kept, spread evenly.
KEPT = 8_000
#: Inputs lie in 0..1 and are rounded to this part.
LEVELS = 64
PACKAGE = Path(__file__).resolve().parents[2] / "models" / "lung_nodules"


def drawn(edge: int, step_mm: float) -> NDArray[np.float32]:
    """(1, 1, z, y, x) in 0..1: noise, a ball of 9 mm, a tube of 4 mm, a wall."""
    line = (np.arange(edge, dtype=np.float32) - (edge - 1) / 2) * np.float32(step_mm)
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    rng = np.random.default_rng(SEED)
    hu = np.full(z.shape, -860.0, np.float32)
    for depth, value in (
        (4.5 - np.sqrt(z**2 + y**2 + x**2), 30.0),
        (2.0 - np.hypot(y + 9.0, x - 7.0 - 0.3 * z), 40.0),
        (y - 0.36 * edge * step_mm, 50.0),
    ):
        share = np.clip(0.5 + depth / step_mm, 0, 1)
        hu = np.asarray(hu + share * (value - hu), np.float32)
    hu = np.asarray(hu + rng.normal(0.0, 25.0, hu.shape), np.float32)
    return np.asarray(np.round(toned(hu) * LEVELS) / LEVELS, np.float32)[None, None]


def _expected(
    spec: NetworkSpec, image: NDArray[np.float32]
) -> dict[str, NDArray[np.float32] | NDArray[np.int64]]:
    answer = open_network(spec, EngineOptions()).run({spec.input_name: image})
    found: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {}
    for tensor in spec.outputs:
        key = spec.name if len(spec.outputs) == 1 else f"{spec.name}.{tensor.name}"
        output = np.asarray(answer[tensor.name], np.float32)
        step = max(1, output.size // KEPT)
        at = np.arange(step // 2, output.size, step, dtype=np.int64)
        found[key], found[f"{key}_at"] = output.reshape(-1)[at], at
    return found


def main() -> int:
    """Write golden/inputs.npz and golden/expected.npz of the package."""
    inputs, expected = {}, {}
    for spec in read_manifest(PACKAGE).networks:
        image = drawn(spec.patch[0], spec.spacing_mm[0])
        inputs[spec.name] = image
        expected.update(_expected(spec, image))
    folder = PACKAGE / "golden"
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "inputs.npz", **inputs)  # type: ignore[arg-type]
    np.savez_compressed(folder / "expected.npz", **expected)  # type: ignore[arg-type]
    for path in sorted(folder.glob("*.npz")):
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
