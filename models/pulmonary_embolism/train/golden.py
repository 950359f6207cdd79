"""The golden case: a window of a simulated chest for each network, and a sample of its answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from models.grid import normalised
from models.phantoms.chest import Block, ChestOptions, ContrastPhase, build_chest, simulate_block
from models.pulmonary_embolism import anatomy, candidates

SEED = 1_900_000
#: Values of each output that are kept, spread evenly.
KEPT = 20_000
#: Inputs lie in 0..1 and are rounded to this part, so that they pack well.
LEVELS = 64


def write(package: Path) -> None:
    """Write golden/inputs.npz and golden/expected.npz of the package."""
    main = next(b for b in build_chest(SEED).arteries if b.name == "right main")
    inputs, expected = {}, {}
    for name, patch, step, value_range in (
        (anatomy.NETWORK, anatomy.PATCH, 2.5, anatomy.VALUE_RANGE),
        (candidates.NETWORK, candidates.PATCH, 1.25, candidates.VALUE_RANGE),
    ):
        z, y, x = (float(v) for v in main.points[-1])
        block = simulate_block(
            SEED,
            Block(
                centre_mm=(z, y, x),
                size_mm=((patch + 1) * step,) * 3,
                spacing_mm=(step,) * 3,
            ),
            ChestOptions(phase=ContrastPhase.PULMONARY, noise_hu=12.0, motion=0.0),
        )
        window = normalised(block.hu[:patch, :patch, :patch], value_range)
        inputs[name] = (np.round(window * LEVELS) / LEVELS).astype(np.float32)[None, None]
        session = onnxruntime.InferenceSession(
            str(package / "weights" / f"{name}.onnx"), providers=["CPUExecutionProvider"]
        )
        (answer,) = session.run(None, {"image": inputs[name]})
        at = np.arange(0, answer.size, max(1, answer.size // KEPT), dtype=np.int64)
        expected[name] = answer.reshape(-1)[at]
        expected[f"{name}_at"] = at
    folder = package / "golden"
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "inputs.npz", **inputs)
    np.savez_compressed(folder / "expected.npz", **expected)
