"""Where the outputs of windows are summed: the whole image, or a slab that moves along it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
#: First index of a window in (plane, *rest).
Corner = tuple[int, ...]


def scaled(box: tuple[slice, ...], scale: tuple[float, ...]) -> tuple[slice, ...]:
    """A box of the image in the resolution of an output: voxels of it for each of the image."""
    return tuple(
        slice(round(axis.start * along), round(axis.stop * along))
        for axis, along in zip(box, scale, strict=True)
    )


class Canvas:
    """Weighted sums and sums of weights of the planes from `base` on.

    Attributes:
        sums: (plane, class, *rest). total: (plane, *rest), the weights.
        base: the plane of the image that `sums[0]` is.
    """

    def __init__(  # noqa: PLR0913 - one call site for each kind, all keyword-only
        self,
        *,
        length: tuple[int, ...],
        window: tuple[int, ...],
        weights: Floats,
        classes: int,
        plain: bool,
        height: int | None = None,
        weighed: bool = True,
    ) -> None:
        """Nothing is summed yet.

        Args:
            length: of the image in (plane, *rest). window: of a window, likewise.
            weights: of a window in the resolution of its output; their type is that of the sums.
            plain: no two windows share a voxel, so that weights are left out.
            height: planes that are held at a time; None for all.
            weighed: the weights are summed as well; False where only the largest class is asked
                for, which they do not change.
        """
        self._weights = weights
        self._plain = plain
        self._weighed = weighed
        #: Times 1 is what it was.
        self._uniform = bool((weights == 1).all())
        #: Output voxels for each voxel of the image.
        self._scale = tuple(out / size for out, size in zip(weights.shape, window, strict=True))
        outer = [int(size * scale) for size, scale in zip(length, self._scale, strict=True)]
        held = outer[0] if height is None else height
        self.base = 0
        self.sums = np.zeros((held, classes, *outer[1:]), weights.dtype)
        self.total = np.zeros((held, *outer[1:]), weights.dtype)
        #: (class, *rest) of one plane, which stays in the processor's cache.
        self._product = np.empty((classes, *weights.shape[1:]), np.float32)

    def scaled(self, box: tuple[slice, ...]) -> tuple[slice, ...]:
        """A box of the image in the resolution of the output."""
        return scaled(box, self._scale)

    def add(self, corner: Corner, output: Floats) -> None:
        """Sum one window, (plane, class, *rest)."""
        planes, *rest = (
            slice(int(at * scale), int(at * scale) + size)
            for at, scale, size in zip(corner, self._scale, self._weights.shape, strict=True)
        )
        planes = slice(planes.start - self.base, planes.stop - self.base)
        if self._plain:
            self.sums[(planes, slice(None), *rest)] = output
            self.total[(planes, *rest)] = 1
            return
        for scores, weights, plane in zip(output, self._weights, self.sums[planes], strict=True):
            target, counted = plane[(slice(None), *rest)], scores
            if not self._uniform:
                counted = np.multiply(scores, weights, out=self._product)
            np.add(target, counted, out=target, casting="same_kind")
        if self._weighed:
            self.total[(planes, *rest)] += self._weights

    def finish(self, end: int) -> Iterator[tuple[int, Floats, Floats]]:
        """Give away the planes before `end`, to which nothing is added any more.

        Yields:
            First plane, sums and weights; to be used before the next.
        """
        held = len(self.sums)
        while self.base < end:
            done = min(end - self.base, held)
            yield self.base, self.sums[:done], self.total[:done]
            for array in (self.sums, self.total) if self._weighed else (self.sums,):
                if done < held:
                    _move_up(array, done)
                array[held - done :] = 0
            self.base += done


def _move_up(array: Floats, by: int) -> None:
    """The planes from `by` on become the first ones; plane by plane, so nothing is copied twice."""
    for plane in range(len(array) - by):
        array[plane] = array[plane + by]
