"""A trunk of blocks as a series of 2 mm voxels, and what the package says when it is seen so."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.anatomy import atlas
from models.anatomy.pipeline import NETWORK, analyse, see
from models.anatomy.structures import Structure as S
from models.registry import read_manifest
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy
from node.domain.extent import Extent
from node.domain.finding import Finding, Findings
from node.domain.imaging import Volume
from node.domain.study import (
    ClassUID,
    InstanceUID,
    Patient,
    Plane,
    Series,
    SeriesUID,
    StudyUID,
)
from tests.models.anatomy.scene import sight_of

PACKAGE = Path(__file__).resolve().parents[3] / "models" / "anatomy"
SHAPE = (120, 110, 130)
MIDDLE = (70, 65)
AIR_HU, TISSUE_HU = -1000.0, 40.0
#: Fine voxels of a vertebral body, and of the disc above it.
BODY, DISC = 14, 4
Box = tuple[slice, slice, slice]


@dataclass
class Trunk:
    """Blocks of structures in a body in air.

    Attributes:
        blocks: structure and where. padding: where the scanner wrote padding.
        seen: labels that the network gives beside those of the blocks.
    """

    blocks: list[tuple[S, Box]]
    padding: NDArray[np.bool_] | None = None
    seen: list[tuple[S, Box]] = field(default_factory=list)

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """HU and the network's labels."""
        hu = np.full(SHAPE, AIR_HU, np.float32)
        labels = np.full(SHAPE, S.OUTSIDE, np.uint8)
        trunk = (slice(None), slice(5, 105), slice(7, 123))
        hu[trunk], labels[trunk] = TISSUE_HU, S.BODY
        for structure, box in self.blocks:
            labels[box] = structure
            if structure in (S.L5, S.L4, S.L3, S.L2, S.L1, S.T12, S.T11, S.SACRUM):
                hu[box] = 200.0
            elif structure is S.DISC:
                hu[box] = 70.0
        for structure, box in self.seen:
            labels[box] = structure
        if self.padding is not None:
            hu[self.padding] = -1024.0
        return hu, labels

    def anatomy(self, patch: pytest.MonkeyPatch) -> Anatomy:
        """What other packages are handed."""
        return see(self.request(patch))

    def findings(self, patch: pytest.MonkeyPatch) -> Findings:
        """The package's own result."""
        return analyse(self.request(patch))

    def request(self, patch: pytest.MonkeyPatch) -> AnalysisRequest:
        """The series as the package is handed it."""
        hu, labels = self.arrays()
        patch.setattr(atlas, "see", lambda grid, network: sight_of(labels.copy(), hu.copy()))
        volume = Volume(
            study_uid=StudyUID("1.2.3"),
            series_uid=SeriesUID("1.2.3.4"),
            frame_of_reference_uid="1.2.3.5",
            voxels=hu.astype(np.int16),
            affine=np.array(
                [[0.0, 0, 2, 0], [0, 2.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]], np.float64
            ),
            unit="HU",
            planes=tuple(
                Plane(
                    sop_instance_uid=InstanceUID(f"1.2.3.6.{k + 1}"),
                    frame_number=None,
                    position_mm=(0.0, 0.0, 2.0 * k),
                    extent=Extent(Path(f"{k}.dcm")),
                    instance_number=k + 1,
                )
                for k in range(SHAPE[0])
            ),
            padding=self.padding,
        )
        return AnalysisRequest(
            volume=volume,
            series=Series(
                study_uid=volume.study_uid,
                series_uid=volume.series_uid,
                modality="CT",
                sop_class_uid=ClassUID("1.2.840.10008.5.1.4.1.1.2"),
                instances=(SimpleNamespace(),),  # type: ignore[arg-type]
                planes=volume.planes,
            ),
            patient=Patient(),
            model=read_manifest(PACKAGE).identity,
            networks={NETWORK: SimpleNamespace()},
            thresholds={},
        )


def block(slices: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> Box:
    """A box of fine voxels."""
    return slice(*slices), slice(*rows), slice(*columns)


def spine(levels: list[S], *, sacrum: bool) -> list[tuple[S, Box]]:
    """Bodies and discs from below, on a sacrum or alone."""
    row, column = MIDDLE
    rows, columns = (row - 8, row + 8), (column - 10, column + 10)
    first = 26 if sacrum else 10
    found = [(S.SACRUM, block((6, first - DISC), rows, columns))] if sacrum else []
    for index, level in enumerate(levels):
        at = first + index * (BODY + DISC)
        found.append((level, block((at, at + BODY), rows, columns)))
        found.append((S.DISC, block((at + BODY, at + BODY + DISC), rows, columns)))
    return found[:-1]


def of(findings: Findings, identifier: str) -> Finding:
    """The finding of this name."""
    return next(one for one in findings.findings if one.tracking_identifier == identifier)
