"""Thresholds of a site that lie far from those of the package: mostly a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from config.load import Loaded
from models.manifest import ModelManifest
from node.domain.errors import ConfigFault

#: So many times the value of the package, or less than one of so many parts, is far from it.
FAR: Final = 5.0


def far_thresholds(loaded: Loaded, manifests: Mapping[str, ModelManifest]) -> Iterator[ConfigFault]:
    """What `check` warns of: with 300 in place of 30 a model never finds anything again.

    Args:
        manifests: of the models that are switched on, by name.
    """
    for model, manifest in manifests.items():
        for name, value in loaded.appliance.models[model].thresholds.items():
            shipped = manifest.thresholds[name]
            if _is_far(value, shipped):
                steps = ("models", model, "thresholds", name)
                yield loaded.document.fault_at(
                    loaded.document.key_place(steps),
                    steps,
                    f"{value:g} lies far from the {shipped:g} of the package: it may find nothing "
                    "any more, or far too much",
                    f"write a number of the order of {shipped:g}, or leave it where it is meant "
                    f"and was measured (`evaluate`); see models/{model}/model.yaml",
                )


def _is_far(value: float, shipped: float) -> bool:
    if shipped == 0.0:
        return False
    ratio = value / shipped
    return ratio >= FAR or ratio <= 1.0 / FAR
