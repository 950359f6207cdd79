"""Requests to a built-in pipeline: volumes with known things in them, and the real networks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.builtin.pipeline import built_in
from inference.engine import EngineOptions, open_network
from models.manifest import ModelManifest
from node.domain.analysis import AnalysisRequest, CompanionSeries
from node.domain.extent import Extent
from node.domain.finding import Findings
from node.domain.imaging import Network, Volume
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    Patient,
    Plane,
    Series,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)

#: Half way between tissue and what is bright lie the 150 HU that the tiny networks decide at.
AIR, TISSUE, BRIGHT = -1000, 40, 260


def networks_of(manifest: ModelManifest) -> dict[str, Network]:
    """Opened as a worker opens them."""
    return {spec.name: open_network(spec, EngineOptions()) for spec in manifest.networks}


def volume(
    voxels: NDArray[Any],
    spacing: tuple[float, float, float] = (4.0, 4.0, 4.0),
    *,
    unit: str = "HU",
    series: str = "1.2",
) -> Volume:
    """An axial stack, head first, supine: slices to the head, rows to posterior."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing
    affine[:3, 3] = (-100.0, -80.0, -300.0)
    affine[3, 3] = 1.0
    planes = tuple(
        Plane(
            sop_instance_uid=InstanceUID(f"{series}.{number}"),
            frame_number=None,
            position_mm=(-100.0, -80.0, -300.0 + spacing[0] * number),
            extent=Extent(Path("absent")),
        )
        for number in range(len(voxels))
    )
    return Volume(
        study_uid=StudyUID("1.1"),
        series_uid=SeriesUID(series),
        frame_of_reference_uid="1.3",
        voxels=np.ascontiguousarray(voxels),
        affine=affine,
        unit=unit,
        planes=planes,
    )


def series_of(images: Volume, modality: str = "CT") -> Series:
    """A series that holds these images."""
    instances = tuple(
        Instance(
            sop_instance_uid=plane.sop_instance_uid,
            sop_class_uid=ClassUID("1.2.840.10008.5.1.4.1.1.2"),
            study_uid=images.study_uid,
            series_uid=images.series_uid,
            transfer_syntax_uid=TransferSyntaxUID("1.2.840.10008.1.2.1"),
            extent=plane.extent,
            digest=str(number),
            size_bytes=1,
            calling_ae_title="TEST",
            received_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for number, plane in enumerate(images.planes)
    )
    return Series(
        study_uid=images.study_uid,
        series_uid=images.series_uid,
        modality=modality,
        sop_class_uid=ClassUID("1.2.840.10008.5.1.4.1.1.2"),
        instances=instances,
        planes=images.planes,
    )


def analysed(
    manifest: ModelManifest,
    images: Volume,
    *,
    thresholds: Mapping[str, float] | None = None,
    companions: Mapping[str, Volume] | None = None,
) -> Findings:
    """What the package's built-in pipeline says."""
    analyse = built_in(manifest)
    assert analyse is not None
    return analyse(
        AnalysisRequest(
            volume=images,
            series=series_of(images),
            patient=Patient(),
            model=manifest.identity,
            networks=networks_of(manifest),
            thresholds={**manifest.thresholds, **(thresholds or {})},
            companions={
                role: CompanionSeries(series=series_of(other), load=lambda other=other: other)
                for role, other in (companions or {}).items()
            },
        )
    )


def trunk(shape: tuple[int, int, int] = (40, 48, 48)) -> NDArray[np.int16]:
    """(slice, row, column) HU: tissue in air, two voxels of air around."""
    voxels = np.full(shape, AIR, np.int16)
    voxels[:, 2:-2, 2:-2] = TISSUE
    return voxels


def ball(
    voxels: NDArray[np.int16],
    centre: tuple[float, float, float],
    radius: float,
    value: int = BRIGHT,
) -> NDArray[np.bool_]:
    """Writes a ball, positions and radius in voxels; where it lies."""
    index = np.stack(np.meshgrid(*map(np.arange, voxels.shape), indexing="ij"), axis=-1)
    inside = np.linalg.norm(index - np.array(centre), axis=-1) <= radius
    voxels[inside] = value
    return np.asarray(inside)
