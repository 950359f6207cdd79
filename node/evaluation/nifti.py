"""NIfTI files as CT arrays. A development tool: nibabel is not among the product's libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: NIfTI counts x to the right and y to the front, DICOM to the left and to the back.
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(path: Path) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """A 3-D NIfTI image.

    Returns:
        (slice, row, column) int16 and the (4, 4) affine from those indices to LPS mm.

    Raises:
        RuntimeError: nibabel is not installed (it comes with `make setup`).
    """
    try:
        import nibabel as nib  # noqa: PLC0415 - a development library, asked for only here
    except ImportError:
        raise RuntimeError("reading NIfTI needs nibabel: run `make setup`") from None
    image: Any = nib.load(path)
    values = np.asanyarray(image.dataobj)
    affine = (_RAS_TO_LPS @ np.asarray(image.affine, np.float64))[:, [2, 1, 0, 3]]
    return np.ascontiguousarray(np.rint(values).astype(np.int16).transpose(2, 1, 0)), affine
