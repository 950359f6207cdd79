"""A drawn chest whose vessels and clot are known, and networks that answer from the drawing.

The networks are doubles of `node.domain.imaging.Network`: they recognise the drawing's values in
the windows that they are given, so that the tests judge the rules around the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.pulmonary_embolism import anatomy, candidates
from node.domain.analysis import AnalysisRequest
from node.domain.extent import Extent
from node.domain.finding import ModelIdentity
from node.domain.imaging import Volume
from node.domain.study import InstanceUID, Patient, Plane, SeriesUID, StudyUID

THRESHOLDS = {
    "contrast_hu": 150.0,
    "least_lung_ml": 300.0,
    "least_side_ml": 60.0,
    "possible": 50.0,
    "present": 80.0,
}
LUNG_HU, FAT_HU, MUSCLE_HU, CLOT_HU = -860.0, -100.0, 45.0, 60.0
TRUNK_MORE_HU = 30.0
#: Where the drawn clot lies: z, y, x in mm, in the left lung.
CLOT_MM = (70.0, 0.0, 68.0)


@dataclass(frozen=True, kw_only=True)
class Toy:
    """An oval chest of 200 mm: lungs, heart with four chambers, trunk, a vessel in each lung.

    z is to the head, y to posterior, x to the left; all in mm around the middle.
    """

    blood_hu: float = 320.0
    clot: bool = True
    slice_mm: float = 2.0
    pixel_mm: float = 1.6
    lungs: bool = True
    vessels: bool = True
    upside_down: bool = False
    offset_hu: float = 0.0
    #: The lungs end within the series; else they go on beyond its first and last slice.
    whole: bool = True

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        return (
            np.arange(0, 200, self.slice_mm),
            np.arange(-115, 115, self.pixel_mm),
            np.arange(-170, 170, self.pixel_mm),
        )

    def voxels(self) -> NDArray[np.int16]:
        z, y, x = np.meshgrid(*self.axes(), indexing="ij", sparse=True)
        hu = np.full(np.broadcast(z, y, x).shape, -1000.0)

        def lay(value: float, where: NDArray[np.bool_]) -> None:
            hu[np.broadcast_to(where, hu.shape)] = value

        lay(FAT_HU, (x / 155) ** 2 + (y / 105) ** 2 < 1)
        lay(MUSCLE_HU, (x / 140) ** 2 + (y / 92) ** 2 < 1)
        if self.lungs:
            # The mediastinum is wide at the heart and narrow above it.
            half = np.where(z < 126, 58.0, 26.0)
            inside = (z > 12) & (z < 188) if self.whole else z > -1
            lay(LUNG_HU, inside & ((x / 130) ** 2 + (y / 80) ** 2 < 1) & (np.abs(x) > half))
        lay(FAT_HU, (np.abs(x) < 24) & (np.abs(y) < 50))
        lay(200.0, x**2 + (y - 68) ** 2 < 18**2)
        for name, (cz, cy, cx, radius) in CHAMBERS.items():
            if name == "pulmonary_artery":
                continue
            lay(MUSCLE_HU, (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < (radius + 5) ** 2)
        for name, (cz, cy, cx, radius) in CHAMBERS.items():
            # A little brighter than what it supplies, so that a double of a network knows it.
            extra = TRUNK_MORE_HU if name == "pulmonary_artery" and self.blood_hu > 100 else 0.0
            lay(self.blood_hu + extra, (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < radius**2)
        if self.vessels:
            for side in (-1, 1):
                tube = (y**2 + (z - 70) ** 2 < 5.2**2) & (side * x > 20) & (side * x < 100)
                lay(self.blood_hu, tube)
                # Along the hilum, so that large vessels are in view.
                tube = ((side * x - 66) ** 2 + (y - 12) ** 2 < 5.5**2) & (np.abs(z - 75) < 50)
                lay(self.blood_hu, tube)
        if self.clot:
            lay(CLOT_HU, self.in_clot(z, y, x))
        hu += self.offset_hu
        return np.asarray(np.rint(hu), np.int16)

    @staticmethod
    def in_clot(
        z: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        where = (y - CLOT_MM[1]) ** 2 + (z - CLOT_MM[0]) ** 2 < 3.4**2
        return np.asarray(where & (np.abs(x - CLOT_MM[2]) < 9.0), np.bool_)

    def volume(self) -> Volume:
        voxels = self.voxels()
        z, y, x = self.axes()
        affine = np.zeros((4, 4))
        affine[2, 0] = -self.slice_mm if self.upside_down else self.slice_mm
        affine[1, 1] = affine[0, 2] = self.pixel_mm
        affine[:, 3] = (x[0], y[0], 500.0, 1.0)
        planes = tuple(
            Plane(
                sop_instance_uid=InstanceUID(f"1.2.3.{k + 1}"),
                frame_number=None,
                position_mm=(float(x[0]), float(y[0]), float(affine[2, 3] + affine[2, 0] * k)),
                extent=Extent(Path("/nowhere")),
            )
            for k in range(len(z))
        )
        return Volume(
            study_uid=StudyUID("1.2.3"),
            series_uid=SeriesUID("1.2.3.4"),
            frame_of_reference_uid="1.2.3.5",
            voxels=voxels,
            affine=affine,
            unit="HU",
            planes=planes,
        )


#: Middle z, y, x and radius in mm; names as of `anatomy.CLASSES`.
CHAMBERS = {
    "right_ventricle": (40.0, -38.0, -14.0, 21.0),
    "left_ventricle": (40.0, -10.0, 30.0, 19.0),
    "right_atrium": (45.0, 5.0, -38.0, 15.0),
    "left_atrium": (55.0, 28.0, 0.0, 15.0),
    "pulmonary_artery": (105.0, -25.0, 8.0, 14.0),
}


class Central:
    """Recognises nothing; the rules about chambers have tests of their own."""

    name = anatomy.NETWORK
    provider = "CPUExecutionProvider"

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits for `other` everywhere."""
        logits = np.zeros((len(inputs), len(anatomy.CLASSES), *inputs.shape[2:]), np.float32)
        logits[:, 0] = 5.0
        return logits


class Trunk(Central):
    """Knows the trunk by its brighter blood."""

    def __init__(self, blood_hu: float) -> None:
        self.blood_hu = blood_hu

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        low, high = anatomy.VALUE_RANGE
        logits = super().run(inputs)
        for window, answer in zip(inputs[:, 0], logits[:, 1], strict=True):
            bright = window * (high - low) + low > self.blood_hu + 0.5 * TRUNK_MORE_HU
            answer[ndimage.binary_opening(bright)] = 9.0
        return logits


class Clots:
    """A voxel with the value of a clot, among blood and beside lung, is a clot."""

    name = candidates.NETWORK
    provider = "CPUExecutionProvider"

    def __init__(self, blood_hu: float) -> None:
        self.blood_hu = blood_hu

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        low, high = candidates.VALUE_RANGE
        hu = inputs[:, 0] * (high - low) + low
        logits = np.zeros((len(inputs), 4, *hu.shape[1:]), np.float32)
        logits[:, 0] = 3.0
        logits[:, 1][hu > 0.75 * self.blood_hu] = 6.0
        for window, answer in zip(hu, logits[:, 3], strict=True):
            # Half-filled voxels at the wall of a vessel pass through the same values.
            soft = (window > CLOT_HU - 25) & (window < CLOT_HU + 25)
            answer[ndimage.binary_opening(soft)] = 6.0
        return logits


def request(toy: Toy, central: Central | None = None, **thresholds: float) -> AnalysisRequest:
    """The toy as the pipeline is handed it."""
    volume = toy.volume()
    series = SimpleNamespace(series_uid=volume.series_uid)
    return AnalysisRequest(
        volume=volume,
        series=series,  # type: ignore[arg-type]
        patient=Patient(),
        model=ModelIdentity(
            name="pulmonary_embolism",
            title="Pulmonary embolism",
            version="0.0.0",
            digest="0" * 64,
            manufacturer="Test",
            task_number=4,
        ),
        networks={
            anatomy.NETWORK: central or Central(),  # type: ignore[dict-item]
            candidates.NETWORK: Clots(toy.blood_hu),  # type: ignore[dict-item]
        },
        thresholds={**THRESHOLDS, **thresholds},
    )
