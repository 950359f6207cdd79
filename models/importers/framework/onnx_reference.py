"""Reference results of an ONNX file: MONAI's transforms and sliding window around ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import monai
import numpy as np
import onnx
import torch

from models.importers.exchange import Json
from models.importers.framework.monai_program import run_cases, seeded_input
from models.importers.framework.monai_reference import Plan
from models.importers.framework.onnx_check import Facts
from models.importers.framework.onnx_module import OnnxModule
from node.domain.errors import ImportRefused


def references(request: Json, folder: Path, patch: tuple[int, ...], facts: Facts) -> dict[str, Any]:
    """The golden answer, and results on the generated images.

    Raises:
        ImportRefused: the network does not run on windows of that size.
    """
    torch.set_num_threads(int(request["threads"]))
    network = OnnxModule(folder / "network.onnx", int(request["threads"]))
    plan = Plan(**{**request["plan"], "patch": list(patch)})
    channels = facts.inputs[0].shape[1] or request["channels"]
    if channels != request["channels"]:
        raise ImportRefused.once(
            "form: channels",
            f"the network takes {channels} channels, the form names {request['channels']}",
            "name the meaning of each channel",
        )
    example = seeded_input((2, channels, *patch))
    try:
        output = network(torch.from_numpy(example)).numpy()
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        raise ImportRefused.once(
            "form: patch",
            f"the network does not run on windows of {' x '.join(map(str, patch))} ({told})",
            "write the window that the network was trained with",
        ) from None
    if not np.isfinite(output).all():
        raise ImportRefused.once(
            "network", "it gives values that are no numbers", "ask its makers for a sound file"
        )
    name = network.output_names[0]
    np.savez(folder / "golden.npz", **{"input": example[:1], f"output_{name}": output[:1]})
    return {
        "exported": [[name, list(output.shape[1:])]],
        "versions": {
            "monai": monai.__version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
        },
        "cases": run_cases(network, plan, request["cases"], folder, name),
    }
