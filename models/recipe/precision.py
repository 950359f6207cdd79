"""In what numbers a recipe multiplies: bfloat16 where the processor does that in hardware.

Where it does not, bfloat16 is emulated and slower than float32. Weights, their averages and the
loss stay float32 either way; the exported network is float32.
"""

from __future__ import annotations

from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
#: Flags of the instruction sets with a product of bfloat16: AMX, AVX-512, Arm.
_PRODUCTS = frozenset({"amx_bf16", "avx512_bf16", "bf16"})


def multiplies_bfloat16(told: Path = CPUINFO) -> bool:
    """Does the processor say so of itself (`flags`, on Arm `Features`)?"""
    try:
        lines = told.read_text().splitlines()
    except OSError:
        return False
    flags = [line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))]
    return bool(_PRODUCTS & set(" ".join(flags[:1]).split()))


def fast(told: Path = CPUINFO) -> torch.autocast:
    """A context in which a network's products are taken in the fastest numbers there are.

    The caller turns what comes out of it to float32 before the loss.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16(told))
