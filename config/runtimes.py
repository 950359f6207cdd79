"""What networks run on, by the words of `workers.providers` and by their names in `model.yaml`.

config/RUNTIMES.md says what each needs; `inference/providers.py` finds what a computer has.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Configured word -> what is reported as running a network, and the key of its tolerance.
PROVIDERS: Mapping[str, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINO",
    "triton": "Triton",
}
#: Precisions that a provider can lower to by itself; others run what the file says.
LOWERED: Mapping[str, frozenset[str]] = {
    "tensorrt": frozenset({"fp16", "bf16"}),
    "openvino": frozenset({"fp16", "bf16"}),
}
#: What every network can be run in.
FP32 = "fp32"


def lowered_keys(precision: str) -> tuple[str, ...]:
    """Keys of a tolerance for a lower precision: "TensorrtExecutionProvider/fp16", ..."""
    return tuple(
        f"{PROVIDERS[word]}/{precision}" for word, known in LOWERED.items() if precision in known
    )
