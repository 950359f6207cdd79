"""Radiographs and mammograms as a stack without a place in the patient."""

from __future__ import annotations

import numpy as np

from inference.attributes import quiet_pydicom
from inference.volume import load_plane, load_volume
from models.manifest import InputLimits
from node.domain.errors import PixelDataError, VolumeError
from node.domain.imaging import Volume
from node.domain.study import Series


def load_images(series: Series, limits: InputLimits) -> Volume:
    """The images as a package wants them: a stack in the patient, or projections.

    A package that names no orientation was made for projections.

    Raises:
        VolumeError, PixelDataError: as `inference.volume.load_volume`.
    """
    return load_volume(series) if limits.orientations else load_projections(series)


def load_projections(series: Series) -> Volume:
    """Images of one size, each by itself.

    Returns:
        (image, row, column) float32, brighter where more was absorbed (MONOCHROME1 is turned
        round within its own range). The affine counts pixels, not millimetres: what a
        projection shows has no size of its own.

    Raises:
        VolumeError: the images differ in size, or are colour.
        PixelDataError: the pixel data are missing, cut off or cannot be decoded.
    """
    if not series.has_pixels or not series.planes:
        raise PixelDataError("the images hold no pixel data", series_uid=series.series_uid)
    syntaxes = {instance.extent: instance.transfer_syntax_uid for instance in series.instances}
    try:
        with quiet_pydicom():
            images = [
                load_plane(plane, syntaxes.get(plane.extent, ""), is_ct=False)
                for plane in series.planes
            ]
    except VolumeError as error:
        error.study_uid, error.series_uid = series.study_uid, series.series_uid
        raise
    if len({image.shape for image in images}) > 1 or images[0].ndim != 2:
        raise VolumeError(
            "the images of the series differ in size, so they are not looked at together",
            study_uid=series.study_uid,
            series_uid=series.series_uid,
        )
    if series.photometric_interpretation == "MONOCHROME1":
        images = [image.max() + image.min() - image for image in images]
    return Volume(
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        frame_of_reference_uid="",
        voxels=np.ascontiguousarray(np.stack(images), np.float32),
        affine=np.eye(4),
        unit="",
        planes=series.planes,
    )
