"""A CT series of any length, 512 x 512, made of the images of a simulated study."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.uid import UID, generate_uid

from node.demo.simulated import simulate

SLICE_MM = 1.0


def write_long_series(folder: Path, *, slices: int = 600, syntax: UID | None = None) -> list[Path]:
    """Write images one millimetre apart, up and down through the simulated body.

    Args:
        syntax: compress them; None leaves them native.
    """
    simulated = simulate(0, folder / "simulated")
    images = [pydicom.dcmread(path) for path in simulated.folder.rglob("*.dcm")]
    images.sort(key=lambda image: float(image.ImagePositionPatient[2]))
    if syntax is not None:
        for image in images:
            image.compress(syntax, generate_instance_uid=False)
    series_uid, study_uid = generate_uid(), generate_uid()
    there_and_back = [*range(len(images)), *range(len(images) - 2, 0, -1)]
    target = folder / "long"
    target.mkdir()
    paths = []
    for number in range(slices):
        image = images[there_and_back[number % len(there_and_back)]]
        x, y, _ = image.ImagePositionPatient
        image.StudyInstanceUID, image.SeriesInstanceUID = study_uid, series_uid
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.InstanceNumber = number + 1
        image.ImagePositionPatient = [x, y, number * SLICE_MM]
        path = target / f"{number:05}.dcm"
        image.save_as(path)
        paths.append(path)
    return paths
