"""Where the windows of one axis start, by the rule of the framework that trained the network."""

from __future__ import annotations

import math
from typing import Literal

#: "even": evenly spread, never further apart than asked. "monai": a fixed step, the last window
#: moved back to the end (`monai.inferers`, 1.6). "nnunet": evenly spread, with a step that is
#: not rounded first (`compute_steps_for_sliding_window`, nnU-Net 2.8).
Starts = Literal["even", "monai", "nnunet"]


def starts(length: int, patch: int, overlap: float, rule: Starts = "even") -> tuple[int, ...]:
    """First indices of the windows of one axis; the last window ends at the end.

    Args:
        length: of the axis, already padded to the patch where it was shorter.
        overlap: fraction of a window that it shares with the next, at least.
    """
    if length <= patch:
        return (0,)
    if rule == "monai":
        step = max(1, int(patch * (1.0 - overlap)))
        count = math.ceil((length - patch) / step) + 1
        return tuple(min(number * step, length - patch) for number in range(count))
    if rule == "nnunet":
        # Its setting is the step; 1 - 0.7 would be a little more than the 0.3 it was made from.
        step_size = patch * round(1.0 - overlap, 12)
        count = math.ceil((length - patch) / step_size) + 1
        spread = (length - patch) / (count - 1)
        return tuple(round(spread * number) for number in range(count))
    step = max(1, int(patch * (1.0 - overlap)))
    count = math.ceil((length - patch) / step) + 1
    return tuple(round(number * (length - patch) / (count - 1)) for number in range(count))
