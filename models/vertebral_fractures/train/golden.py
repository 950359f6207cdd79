"""The golden case: drawn strips of a test seed, and what the network answers on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from models.grid import normalised
from models.vertebral_fractures.outlines import VALUE_RANGE
from models.vertebral_fractures.train.spines import draw_strip

PACKAGE = Path(__file__).parents[1]
SEED, STRIPS = 1_900_007, 2
#: Values of the output that are kept, spread evenly; inputs are rounded to this part.
KEPT, LEVELS = 8_000, 64


def write_golden() -> None:
    """Write golden/inputs.npz and golden/expected.npz of the package."""
    rng = np.random.default_rng(SEED)
    strips = np.stack([normalised(draw_strip(rng)[0], VALUE_RANGE) for _ in range(STRIPS)])[:, None]
    image = np.asarray(np.round(strips * LEVELS) / LEVELS, np.float32)
    session = onnxruntime.InferenceSession(
        str(PACKAGE / "weights" / "outline.onnx"), providers=["CPUExecutionProvider"]
    )
    output = np.asarray(session.run(None, {"image": image})[0], np.float32)
    step = max(1, output.size // KEPT)
    at = np.arange(step // 2, output.size, step, dtype=np.int64)
    folder = PACKAGE / "golden"
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "inputs.npz", outline=image)
    np.savez_compressed(folder / "expected.npz", outline=output.reshape(-1)[at], outline_at=at)
