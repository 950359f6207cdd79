"""What is no trunk in Hounsfield units is refused before a network counts anything in it."""

from __future__ import annotations

import numpy as np

from models.body_composition.plausibility import refuse_implausible
from models.grid import canonical
from node.domain.imaging import Volume
from node.domain.study import SeriesUID, StudyUID


def trunk(
    *, lung_slices: int, slices: int = 12, tissue_hu: int = 40, air_hu: int = -1000
) -> Volume:
    """An elliptic body, 320 mm wide, with two lungs on the uppermost slices."""
    y, x = np.mgrid[-110:110:2, -190:190:2].astype(float)
    body = (y / 100) ** 2 + (x / 160) ** 2 <= 1
    lungs = (y / 70) ** 2 + ((np.abs(x) - 75) / 50) ** 2 <= 1
    voxels = np.full((slices, *body.shape), air_hu, np.int16)
    voxels[:, body] = -100
    voxels[:, (y / 80) ** 2 + (x / 140) ** 2 <= 1] = tissue_hu
    voxels[slices - lung_slices :, lungs] = -850
    affine = np.array([[0, 0, 2, 0], [0, 2, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]], float)
    return Volume(
        study_uid=StudyUID("1"),
        series_uid=SeriesUID("2"),
        frame_of_reference_uid="3",
        voxels=voxels,
        affine=affine,
        unit="HU",
        planes=(),
    )


def reason(volume: Volume) -> str:
    refusal = refuse_implausible(canonical(volume))
    return refusal.reason if refusal else ""


def test_trunk_with_lung_bases_is_looked_at() -> None:
    assert reason(trunk(lung_slices=4)) == ""


def test_chest_without_a_belly_is_refused_by_its_lungs() -> None:
    told = reason(trunk(lung_slices=12))
    assert told.startswith("L3 is not within this series: its lowest slices still show lung")


def test_values_that_are_not_hounsfield_units_are_refused_with_what_the_air_has() -> None:
    assert "has -700 instead of about -1000" in reason(trunk(lung_slices=0, air_hu=-700))
    assert "are not Hounsfield units" in reason(trunk(lung_slices=0, air_hu=0))
