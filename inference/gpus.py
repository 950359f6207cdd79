"""Which GPU a worker process sees.

CUDA reads `CUDA_VISIBLE_DEVICES` once, when a process first asks for it; what a process does not
see it cannot use by mistake, in whatever library. `CUDA_DEVICE_ORDER=PCI_BUS_ID` makes the numbers
those of nvidia-smi (CUDA C++ Programming Guide, "CUDA Environment Variables").
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from inference.providers import Probe
from node.domain.errors import ModelError

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"
#: Number of the GPU, for what processes of the same GPU share.
_OURS = "VIGIE_GPU"


def environments(gpus: Sequence[int]) -> tuple[Mapping[str, str], ...]:
    """Variables of the processes that use each of these GPUs; () leaves it to CUDA."""
    return tuple({_ORDER: "PCI_BUS_ID", _VISIBLE: str(gpu), _OURS: str(gpu)} for gpu in gpus)


def address_here(address: Path) -> Path:
    """The socket of the process that holds the networks of the GPU that this process sees."""
    gpu = os.environ.get(_OURS)
    return address if gpu is None else address.with_name(f"{address.name}-{gpu}")


def of_one_kind(gpus: Sequence[int], found: Sequence[Probe]) -> Probe:
    """What was seen on each of these GPUs, as one.

    An engine, and the proof of a provider, hold for one kind of GPU.

    Raises:
        ModelError: they are of several kinds, or some do not answer.
    """
    kinds = {probe.gpu for probe in found}
    if len(kinds) < 2:
        return found[0]
    seen = "; ".join(
        f"GPU {gpu}: {probe.gpu or 'does not answer'}"
        for gpu, probe in zip(gpus, found, strict=True)
    )
    raise ModelError(
        f"workers.gpus names GPUs that are not of one kind ({seen}) - name those of one kind, "
        "and run a second node for others"
    )
