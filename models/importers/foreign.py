"""A network of another framework with everything that belongs to it, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.importers.monai_arguments import Step
from models.importers.monai_metadata import BundleMetadata
from models.importers.monai_network import Definition
from models.importers.monai_results import Detector, Inference


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignModel:
    """Everything that was understood; nothing was left out in silence.

    Attributes:
        network: what to build; None where the bundle's own code defines it.
        before / behind: steps as `model.yaml` has them. references: the same transforms for
            MONAI's own objects ("before", "behind").
        frame: "LPS" where the bundle reads files in those axes, else "RAS".
        inference: how the network is run. detector: of a RetinaNet.
        weights: the file. checked: what its digest was compared with; "" if nothing was given.
        notes: for the card.
    """

    folder: Path
    metadata: BundleMetadata
    network: Definition | None
    before: tuple[Step, ...]
    behind: tuple[Step, ...]
    references: Mapping[str, list[dict[str, Any]]]
    image_key: str
    frame: str
    several_outputs: bool
    inference: Inference
    detector: Detector | None
    channels: int
    weights: Path
    checked: str
    licence: str
    notes: tuple[str, ...]
