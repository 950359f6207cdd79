"""Half of the bits for the products of a step, where the processor is faster with them."""

from __future__ import annotations

import torch


def mixed() -> torch.autocast:
    """A context in which layers compute in bfloat16, on processors that do so in hardware.

    Weights, statistics and losses stay float32. Together with channels last it makes a step about
    three times faster with AMX; elsewhere it changes nothing.
    """
    fast = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)
