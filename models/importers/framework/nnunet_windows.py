"""Sandboxed program: what the PyTorch network gives for single windows.

For import environments without nnU-Net: the node cuts and puts together, PyTorch only computes.

Request:
    folder, folds, checkpoint: as for `nnunet_export`. cases: names.
Reads NAME.windows.npy (window, channel, *patch), writes NAME.FOLD.npy (window, class, *patch),
FOLD being the place of the fold in the request, from 0.
Report:
    framework: which code computed it. seconds: of each case.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from models.importers.exchange import Json, answer
from models.importers.framework.nnunet_network import build_network, load_checkpoint
from models.importers.nnunet_plans import read_plan


def compute(request: Json, out: Path) -> Json:
    """See the module."""
    folder = Path(request["folder"])
    seconds = dict.fromkeys(request["cases"], 0.0)
    for number, fold in enumerate(request["folds"]):
        checkpoint = load_checkpoint(folder / fold / request["checkpoint"])
        plan = read_plan(folder, checkpoint.configuration)
        network = build_network(plan, checkpoint)
        for name in request["cases"]:
            started = time.monotonic()
            windows = np.load(out / f"{name}.windows.npy", mmap_mode="r")
            outputs = np.lib.format.open_memmap(
                out / f"{name}.{number}.npy",
                mode="w+",
                dtype=np.float32,
                shape=(len(windows), plan.labels.heads, *plan.patch),
            )
            with torch.inference_mode():
                for at, window in enumerate(windows):
                    outputs[at] = network(torch.from_numpy(np.array(window[np.newaxis])))[0].numpy()
            outputs.flush()
            seconds[name] += time.monotonic() - started
    words = f"PyTorch {torch.__version__} behind our own windows (nnU-Net is not installed here)"
    return {"framework": words, "seconds": seconds}


if __name__ == "__main__":
    sys.exit(answer(compute))
