"""Lays one chest CT over another: rigid, affine, then a coarse B-spline (SimpleITK).

The intensities decide: both are CT in Hounsfield units. Where the lungs lie is the beginning, and
only the surroundings of the lungs count, so that arms, table and abdomen do not. How well it went
is judged by what the optimiser did not see: blocks of lung tissue are searched for around the
place where they should be, and how far off they are found is the error that is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.priors.grid import LUNGS_ML, Coarse, coarse
from models.priors.residual import residual_mm
from node.domain.imaging import Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

    Images = tuple[sitk.Image, sitk.Image, sitk.Image]

#: Intensities beyond these say nothing of the lungs, HU.
LOW_HU: Final = -1000.0
HIGH_HU: Final = 150.0
#: Around the lungs, what counts, mm.
AROUND_MM: Final = 9.0
#: Distance of the control points of the B-spline, mm: breathing is smoother than this.
CONTROL_MM: Final = 45.0
#: Least overlap (Dice) of the lungs, and largest error, at which the result is trusted.
LEAST_OVERLAP: Final = 0.80
LARGEST_ERROR_MM: Final = 6.0
#: Threads, fixed: the sums of the metric, and so the last digits, depend on their number.
THREADS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """From points of the current scan to points of the earlier one, and back.

    Attributes:
        overlap: Dice of the lungs where both scans show them. error_mm: 90th percentile of how
            far off blocks of lung tissue were found.
        fault: why it must not be trusted, in words; "" where it may.
    """

    overlap: float = 0.0
    error_mm: float = float("inf")
    fault: str = ""
    transform: sitk.Transform | None = field(default=None, repr=False, compare=False)

    @property
    def is_trusted(self) -> bool:
        """May lesions be matched by it?"""
        return not self.fault

    @property
    def told(self) -> str:
        """In one line."""
        return f"overlap of the lungs {self.overlap:.0%}, error {self.error_mm:.1f} mm"

    def to_prior(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) LPS mm of the current scan -> (n, 3) LPS mm of the earlier one."""
        return _moved(self.transform, points_mm)

    def to_current(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """The way back, by fixed-point iteration: the deformation is small and smooth."""
        guess = points_mm.copy()
        for _ in range(20):
            guess = guess + points_mm - self.to_prior(guess)
        return guess


def register(current: Volume, prior: Volume) -> Registration:
    """Register two chest CT; never raises: what stands against it is the `fault`."""
    now, then = coarse(current), coarse(prior)
    for scan, name in ((now, "current"), (then, "earlier")):
        if scan.lung_ml < LUNGS_ML:
            return Registration(fault=f"the {name} scan shows {scan.lung_ml:.0f} ml of lung")
    try:
        transform = _optimised(now, then)
    except RuntimeError:
        # What SimpleITK raises: no voxel of the one lies on the other, or the metric broke down.
        return Registration(fault="the optimiser found no way")
    return _judged(now, then, transform)


def _judged(now: Coarse, then: Coarse, transform: sitk.Transform) -> Registration:
    overlap = _overlap(now, then, transform)
    error = residual_mm(now, then, lambda points: _moved(transform, points))
    fault = ""
    if overlap < LEAST_OVERLAP:
        fault = f"the lungs overlap by {overlap:.0%} only"
    elif error > LARGEST_ERROR_MM:
        fault = f"the tissue of the lungs lies {error:.0f} mm off"
    return Registration(overlap=overlap, error_mm=error, fault=fault, transform=transform)


def _optimised(now: Coarse, then: Coarse) -> sitk.Transform:
    import SimpleITK as sitk  # noqa: PLC0415 - 0.3 s that only a comparison needs

    fixed, moving = _image(sitk, now), _image(sitk, then)
    mask = _mask(sitk, now)
    rigid = sitk.Euler3DTransform()
    rigid.SetCenter([float(x) for x in now.centre_mm])
    rigid.SetTranslation([float(x) for x in _shift(now, then)])
    method = _method(sitk, mask, levels=(4, 2))
    method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.05, 60, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(rigid, inPlace=True)
    method.Execute(fixed, moving)
    affine = sitk.AffineTransform(3)
    affine.SetCenter(rigid.GetCenter())
    affine.SetMatrix(rigid.GetMatrix())
    affine.SetTranslation(rigid.GetTranslation())
    method = _method(sitk, mask, levels=(2,))
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.05, 60, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(affine, inPlace=True)
    method.Execute(fixed, moving)
    return _deformed(sitk, (fixed, moving, mask), affine, now)


def _deformed(sitk: Any, images: Images, affine: sitk.Transform, now: Coarse) -> sitk.Transform:
    """The affine one with a coarse B-spline before it."""
    fixed, moving, mask = images
    extent = np.asarray(now.hu.shape[::-1]) * now.spacing_mm[::-1]
    mesh = [max(2, int(round(length / CONTROL_MM))) for length in extent]
    spline = sitk.BSplineTransformInitializer(fixed, mesh)
    method = _method(sitk, mask, levels=(2, 1))
    method.SetMovingInitialTransform(affine)
    method.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-5,
        numberOfIterations=25,
        maximumNumberOfCorrections=5,
        maximumNumberOfFunctionEvaluations=40,
        costFunctionConvergenceFactor=1e9,
    )
    method.SetInitialTransform(spline, inPlace=True)
    method.Execute(fixed, moving)
    # Applied from the last to the first: the spline moves a point of the current scan first.
    return sitk.CompositeTransform([affine, spline])


def _method(sitk: Any, mask: sitk.Image, levels: tuple[int, ...]) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(mask)
    # Regular sampling: the same voxels each time.
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.15)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(list(levels))
    method.SetSmoothingSigmasPerLevel([float(level - 1) for level in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetNumberOfThreads(THREADS)
    return method


def _image(sitk: Any, scan: Coarse) -> sitk.Image:
    """As SimpleITK wants it: axes (column, row, slice), frame LPS as ours."""
    return _placed(sitk, np.clip(scan.hu, LOW_HU, HIGH_HU), scan)


def _mask(sitk: Any, scan: Coarse) -> sitk.Image:
    steps = max(1, round(AROUND_MM / float(scan.spacing_mm.max())))
    around = ndimage.binary_dilation(scan.lungs, iterations=steps)
    return _placed(sitk, around.astype(np.uint8), scan)


def _placed(sitk: Any, array: NDArray[Any], scan: Coarse) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(step) for step in scan.spacing_mm[::-1]])
    image.SetOrigin([float(x) for x in scan.affine[:3, 3]])
    cosines = (scan.affine[:3, :3] / scan.spacing_mm)[:, ::-1]
    image.SetDirection([float(x) for x in cosines.ravel()])
    return image


def _shift(now: Coarse, then: Coarse) -> NDArray[np.float64]:
    """Translation to begin with: the lungs' centres across, the lungs' tops along the body."""
    shift = then.centre_mm - now.centre_mm
    shift[2] = _top(then) - _top(now)
    return shift


def _top(scan: Coarse) -> float:
    """z of the highest lung, LPS mm."""
    index = np.argwhere(scan.lungs)
    return float((index @ scan.affine[2, :3] + scan.affine[2, 3]).max())


def _overlap(now: Coarse, then: Coarse, transform: sitk.Transform) -> float:
    """Dice of the lungs within what both scans show."""
    index = np.argwhere(np.ones(now.lungs[::2, ::2, ::2].shape, np.bool_)) * 2
    points = _moved(transform, index @ now.affine[:3, :3].T + now.affine[:3, 3])
    inverse = np.linalg.inv(then.affine)
    place = points @ inverse[:3, :3].T + inverse[:3, 3]
    shown = ((place >= 0) & (place <= np.asarray(then.lungs.shape) - 1)).all(axis=1)
    mine = now.lungs[tuple(index[shown].T)]
    theirs = then.lungs[tuple(np.rint(place[shown]).astype(int).T)]
    total = int(mine.sum()) + int(theirs.sum())
    return 2.0 * int((mine & theirs).sum()) / total if total else 0.0


def _moved(transform: sitk.Transform | None, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    if transform is None:
        return points_mm.copy()
    moved = [transform.TransformPoint([float(x) for x in point]) for point in points_mm]
    return np.asarray(moved, np.float64).reshape(-1, 3)
