"""Slices of a CT whose pixels were lost on the way: blank, or one picture at several places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import VolumeError

#: Pixels of a slice are compared this many rows and columns apart first.
_STEP = 32
#: So many values among every eighth pixel of every eighth row are a picture with noise; drawn
#: phantoms without noise may be alike from slice to slice.
_NOISY = 24


def refuse_lost_pictures(voxels: NDArray[Any], padding: NDArray[np.bool_] | None) -> None:
    """Slices whose pixels were lost on the way: blank, or one picture repeated.

    A network finds nothing there, which must not be read as nothing being there. Noise makes
    every real slice another one; padding at the ends is a matter of the field.
    """
    blank = np.array([_is_uniform(plane) for plane in voxels], np.bool_)
    seen = np.flatnonzero(~blank)
    if not seen.size:
        return
    if padding is not None:
        blank[[i for i in np.flatnonzero(blank) if padding[i].all()]] = False
    # Padded slices between others hold no picture either.
    blank[seen[0] : seen[-1]] = True
    blank[seen] = False
    if not _is_noisy(voxels[seen[0]]):
        blank[: seen[0]] = blank[seen[-1] :] = False
    lost = np.flatnonzero(blank)
    if lost.size:
        raise VolumeError(
            f"{lost.size} of {len(voxels)} slices hold no picture (all pixels alike), "
            f"the first of them slice {lost[0] + 1}: send the series again"
        )
    same = [i for i in seen[seen > seen[0]] if _is_repeated(voxels[i - 1], voxels[i])]
    if same:
        raise VolumeError(
            f"{len(same)} of {len(voxels)} slices show the same picture as the one before, "
            f"the first of them slice {same[0] + 1}: send the series again"
        )


def _is_uniform(plane: NDArray[Any]) -> bool:
    few = plane[::_STEP, ::_STEP]
    return bool((few == few[0, 0]).all()) and bool((plane == plane[0, 0]).all())


def _is_repeated(one: NDArray[Any], other: NDArray[Any]) -> bool:
    few = np.array_equal(one[::_STEP, ::_STEP], other[::_STEP, ::_STEP])
    return few and np.array_equal(one, other) and _is_noisy(one)


def _is_noisy(plane: NDArray[Any]) -> bool:
    return np.unique(plane[::8, ::8]).size >= _NOISY
