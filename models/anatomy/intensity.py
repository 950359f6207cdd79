"""Hounsfield units to the network's scale."""

from __future__ import annotations

from typing import Any, TypeVar

VALUE_RANGE_HU = (-250.0, 750.0)

Array = TypeVar("Array", bound=Any)


def scale(hu: Array) -> Array:
    """HU to 0..1; air and padding are 0.

    Args:
        hu: float array of numpy or torch.
    """
    low, high = VALUE_RANGE_HU
    out: Array = ((hu - low) / (high - low)).clip(0, 1)
    return out
