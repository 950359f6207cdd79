"""The optimiser of SimpleITK: rigid, then affine, on the intensities around the lungs.

SimpleITK takes 0.3 s to import, so this module is imported by the first comparison.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from models.priors.blocks import Move
from models.priors.grid import Coarse

#: Intensities beyond these say nothing of the lungs, HU.
LOW_HU: Final = -1000.0
HIGH_HU: Final = 150.0
#: Around the lungs, what counts, mm.
AROUND_MM: Final = 9.0
#: Part of the voxels that the metric looks at, by how much the images are shrunk: few voxels are
#: all looked at. ITK shakes the samples; with a seed, the same way each time.
SAMPLED: Final = {4: 1.0, 2: 0.5}
SEED: Final = 20261127
#: One thread: several add the sums of the metric in the order in which they come to an end, and the
#: optimiser makes other last digits of it each time. The same scans must give the same result.
THREADS: Final = 1


def affine_of(now: Coarse, then: Coarse) -> Move:
    """From points of the current scan to points of the earlier one, LPS mm.

    Raises:
        RuntimeError: the scans do not lie on each other, or the metric broke down.
    """
    fixed, moving, mask = _image(now), _image(then), _mask(now)
    rigid = sitk.Euler3DTransform()
    rigid.SetCenter([float(x) for x in now.centre_mm])
    method = _method(mask, levels=(4, 2))
    best = float("inf")
    for shift in _shifts(now, then):
        start = sitk.Euler3DTransform(rigid)
        start.SetTranslation([float(x) for x in shift])
        method.SetInitialTransform(start, inPlace=False)
        value = method.MetricEvaluate(fixed, moving)
        if value < best:
            best = value
            rigid.SetTranslation([float(x) for x in shift])
    method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.05, 50, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(rigid, inPlace=True)
    method.Execute(fixed, moving)
    affine = sitk.AffineTransform(3)
    affine.SetCenter(rigid.GetCenter())
    affine.SetMatrix(rigid.GetMatrix())
    affine.SetTranslation(rigid.GetTranslation())
    method = _method(mask, levels=(2,))
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.05, 50, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(affine, inPlace=True)
    method.Execute(fixed, moving)
    matrix = np.asarray(affine.GetMatrix(), np.float64).reshape(3, 3)
    centre = np.asarray(affine.GetCenter(), np.float64)
    shift = centre + np.asarray(affine.GetTranslation(), np.float64)

    def move(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = (points_mm - centre) @ matrix.T + shift
        return moved

    return move


def _method(mask: sitk.Image, levels: tuple[int, ...]) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel([SAMPLED[level] for level in levels], SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(list(levels))
    method.SetSmoothingSigmasPerLevel([float(level - 1) for level in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetNumberOfThreads(THREADS)
    method.SetNumberOfWorkUnits(THREADS)
    return method


def _image(scan: Coarse) -> sitk.Image:
    return _placed(np.clip(scan.hu, LOW_HU, HIGH_HU), scan)


def _mask(scan: Coarse) -> sitk.Image:
    steps = max(1, round(AROUND_MM / float(scan.spacing_mm.max())))
    around = ndimage.binary_dilation(scan.lungs, iterations=steps)
    return _placed(around.astype(np.uint8), scan)


def _placed(array: NDArray[Any], scan: Coarse) -> sitk.Image:
    """Axes (column, row, slice), as SimpleITK has them; its frame is LPS, as ours."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(step) for step in scan.spacing_mm[::-1]])
    image.SetOrigin([float(x) for x in scan.affine[:3, 3]])
    cosines = (scan.affine[:3, :3] / scan.spacing_mm)[:, ::-1]
    image.SetDirection([float(x) for x in cosines.ravel()])
    return image


def _shifts(now: Coarse, then: Coarse) -> list[NDArray[np.float64]]:
    """Translations to begin with: the centres of the lungs, then their tops, then their bottoms.

    Where one of the scans ends inside of the lungs, only one of them is right.
    """
    across = then.centre_mm - now.centre_mm
    (low_now, high_now), (low_then, high_then) = _ends(now), _ends(then)
    heights = (across[2], high_then - high_now, low_then - low_now)
    return [np.array([across[0], across[1], height]) for height in heights]


def _ends(scan: Coarse) -> tuple[float, float]:
    """z of the lowest and of the highest lung, LPS mm."""
    height = np.argwhere(scan.lungs) @ scan.affine[2, :3] + scan.affine[2, 3]
    return float(height.min()), float(height.max())
