"""Many segments in one array: a hundred masks of a long series would not fit into memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class LabelMap:
    """One label for each voxel; must not be written to any more.

    Attributes:
        values: (plane, row, column), 0 is background.
    """

    values: Labels

    @cached_property
    def digest(self) -> str:
        """SHA-256, hex, of type, shape and values."""
        state = hashlib.sha256(f"{self.values.dtype} {self.values.shape}".encode())
        state.update(np.ascontiguousarray(self.values).view(np.uint8).data)
        return state.hexdigest()

    @cached_property
    def planes(self) -> NDArray[np.bool_]:
        """(plane, label): is the label on the plane?"""
        count = int(self.values.max(initial=0)) + 1
        found = np.zeros((len(self.values), count), np.bool_)
        for there, plane in zip(found, self.values, strict=True):
            there[:] = np.bincount(plane.ravel(), minlength=count) > 0
        return found


@dataclass(frozen=True)
class LabelMask:
    """Where a map has one label, as a boolean array that is made plane by plane when asked."""

    map: LabelMap
    value: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(planes, rows, columns)."""
        return self.map.values.shape

    @property
    def ndim(self) -> int:
        """3."""
        return self.map.values.ndim

    def any(self, axis: tuple[int, int] | None = None) -> NDArray[np.bool_] | np.bool_:
        """Of all voxels, or of each plane with axis (1, 2)."""
        known = self.value < self.map.planes.shape[1]
        on = self.map.planes[:, self.value] if known else np.zeros(self.shape[0], np.bool_)
        if axis is None:
            return np.bool_(on.any())
        if axis != (1, 2):
            raise ValueError(f"a label mask is asked for its planes, not for axis {axis}")
        return on.copy()

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - as an array
        return self.map.values[key] == self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.bool_]:  # noqa: ANN401
        return np.asarray(self.map.values == self.value, dtype)
