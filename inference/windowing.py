"""How a package's network wants its images cut, as `inference.windows` takes it."""

from __future__ import annotations

from typing import Any

from inference.windows import Windowing
from models.manifest import NetworkSpec


def windowing_of(spec: NetworkSpec) -> Windowing:
    """The settings of `windows:` of a network.

    Windows that share nothing are put together without weights, unless the rule of another
    framework is asked for, where its last window may lie over the one before.
    """
    windows = spec.windows
    plain = windows.overlap == 0 and windows.starts == "even"
    # The schema has checked the words.
    words: dict[str, Any] = {
        "weights": None if plain else windows.weights,
        "padding": windows.padding,
        "starts": windows.starts,
        "accumulate": windows.accumulate,
    }
    return Windowing(
        patch=spec.patch,
        overlap=windows.overlap,
        batch=windows.batch,
        sigma=windows.sigma,
        least_weight=windows.least_weight,
        padding_value=windows.padding_value,
        mirror_axes=windows.mirror_axes,
        **words,
    )
