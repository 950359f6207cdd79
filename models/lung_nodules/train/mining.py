"""What a trained detector takes for nodules, so that the refiner learns to tell them apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from models.lung_nodules.train.samples import STRIDE, Finder
from models.lung_nodules.train.scanner import Bytes

#: Peaks below this logit are left alone.
LEAST_LOGIT = -3.5


def detector_finder(path: Path) -> Finder:
    """A finder that runs the exported detector."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def places(window: Bytes) -> list[NDArray[np.float64]]:
        image = window.astype(np.float32)[None, None] / 255.0
        (answer,) = session.run(None, {"image": image})
        logit = answer[0, 0]
        peaks = np.argwhere((logit == maximum_filter(logit, 5)) & (logit > LEAST_LOGIT))
        order = np.argsort(-logit[tuple(peaks.T)])
        return [peaks[i].astype(np.float64) * STRIDE + (STRIDE - 1) / 2 for i in order]

    return places
