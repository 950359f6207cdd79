"""From the clean chest to images: motion, thickness of slices, kernel, noise, contrast streaks.

Kernels by their modulation transfer: a soft one falls to half at 0.33-0.42 per mm, a lung one at
0.6-0.95 per mm with an overshoot of edges (Bissonnette et al., Med Phys 2008, 35:4660 for typical
curves). Noise has the power spectrum of filtered back projection, f times the squared transfer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from models.phantoms.chest_canvas import ChestCanvas, LesionTruth, gathered
from models.phantoms.chest_core import Duct
from models.phantoms.chest_frame import ChestFrame
from models.phantoms.shapes import Field


@dataclass(frozen=True, slots=True)
class Optics:
    """What the scanner does to an image.

    Attributes:
        half_per_mm: frequency at which the transfer is one half. boost: of edges.
        noise_hu: deviation in soft tissue of an average chest. grain: share of noise that
            neighbouring slices have in common.
        motion: 0 none, 1 typical. streak: HU at dense contrast.
    """

    half_per_mm: float
    boost: float
    noise_hu: float
    grain: float
    motion: float
    streak: float


def move(canvas: ChestCanvas, frame: ChestFrame, hull: Field | None, amount: float) -> None:
    """Blur by the beating heart and the moving diaphragm, in place, as copies side by side.

    Args:
        hull: (z, y, x) mm inside the heart's hull; None when it is far away.
    """
    if amount <= 0:
        return
    dz, dy, dx = canvas.steps
    if hull is not None and float(hull.max()) > -30:
        weight = (
            np.float32(min(amount, 1.0))
            * np.exp(-np.maximum(-hull, 0) / np.float32(11))
            * np.float32(0.75)
        )
        # Most at the free wall on the left, little at the great vessels.
        weight = weight * np.clip((canvas.x[None, None, :] + 15) / 55, 0.25, 1)
        step = (round(1.1 * amount / dy), round(2.2 * amount / dx))
        _spread(canvas.hu, weight, [(0, step[0], step[1]), (0, -step[0], -step[1])])
    y, x = canvas.y[:, None], canvas.x[None, :]
    rise = canvas.z[:, None, None] - frame.diaphragm(y, x)[None]
    if float(np.abs(rise).min()) < 30:
        inside = canvas.coordinates((slice(None),) * 3)
        cage = frame.cage_depth(canvas.z, inside[1], inside[2])
        weight = np.float32(0.6 * min(amount, 1.0)) * np.exp(-((rise / 11) ** 2))
        weight = weight * np.clip(cage / 6, 0, 1)
        planes = max(round(1.8 * amount / dz), 0)
        _spread(canvas.hu, weight, [(planes, 0, 0), (-planes, 0, 0)])


def _spread(hu: Field, weight: Field, shifts: list[tuple[int, int, int]]) -> None:
    moving = [s for s in shifts if any(s)]
    if not moving:
        return
    mean = sum(np.roll(hu, s, (0, 1, 2)) for s in moving) / np.float32(len(moving))
    hu += weight * (np.asarray(mean, np.float32) - hu) * np.float32(2 / 3)


def slice_weights(
    working_z: Field, z: NDArray[np.float64], thickness: float
) -> list[tuple[int, Field]]:
    """For each slice the first working plane and the weights (sum 1) of those within it."""
    step = float(working_z[1] - working_z[0]) if working_z.size > 1 else thickness
    half = max(thickness / 2, step / 2)
    out = []
    for height in z:
        at = (float(height) - float(working_z[0])) / step
        reach = half / step
        low = max(int(np.ceil(at - reach - 0.499)), 0)
        high = min(int(np.floor(at + reach + 0.499)), working_z.size - 1)
        planes = np.arange(low, max(high, low) + 1)
        weight = np.clip(reach + 0.5 - np.abs(planes - at), 1e-6, 1)
        out.append((int(planes[0]), (weight / weight.sum()).astype(np.float32)))
    return out


def thick(field: Field, weights: list[tuple[int, Field]]) -> Field:
    """(slices, ...) means over the working planes of each slice."""
    if all(w.size == 1 and first == k for k, (first, w) in enumerate(weights)) and len(
        weights
    ) == len(field):
        return field
    out = np.empty((len(weights), *field.shape[1:]), np.float32)
    for k, (first, weight) in enumerate(weights):
        out[k] = np.tensordot(weight, field[first : first + weight.size], 1)
    return out


def truths(canvas: ChestCanvas, weights: list[tuple[int, Field]]) -> dict[str, LesionTruth]:
    """Shares of the lesions on the recorded slices."""
    out = {}
    for name, painted in gathered(canvas).items():
        rows, first_slice = [], None
        start, stop = painted.box[0].start, painted.box[0].stop
        for k, (first, weight) in enumerate(weights):
            low, high = max(first, start), min(first + weight.size, stop)
            if high <= low:
                continue
            part = weight[low - first : high - first]
            rows.append(np.tensordot(part, painted.share[low - start : high - start], 1))
            first_slice = k if first_slice is None else first_slice
        if first_slice is not None:
            box = (slice(first_slice, first_slice + len(rows)), painted.box[1], painted.box[2])
            out[name] = LesionTruth(box, np.stack(rows).astype(np.float32))
    return out


def _transfer(f: Field, optics: Optics) -> Field:
    fall = np.exp(-np.log(2.0) * (f / optics.half_per_mm) ** 2)
    at = (f / 0.42) ** 2
    out: Field = (fall * (1 + optics.boost * at * np.exp(1 - at))).astype(np.float32)
    return out


def _load(image: Field, pixel: float) -> tuple[float, float]:
    """Water-equivalent path from side to side and from front to back, mm."""
    mu = np.clip(image + 1000, 0, 1800) / 1000
    across, through = mu.sum(1), mu.sum(0)
    return float(np.quantile(across, 0.97) * pixel), float(np.quantile(through, 0.97) * pixel)


def expose(
    images: Field, pixel: float, optics: Optics, rng: np.random.Generator, whole: bool
) -> None:
    """Kernel and noise on every slice, in place.

    Args:
        images: (slice, row, column). whole: whole sections, whose width sets the noise.
    """
    n, m = images.shape[1:]
    shape = (fft.next_fast_len(n, real=True), fft.next_fast_len(m, real=True))
    fy = np.fft.fftfreq(shape[0], pixel)[:, None]
    fx = np.fft.rfftfreq(shape[1], pixel)[None, :]
    f = np.hypot(fy, fx).astype(np.float32)
    transfer = _transfer(f, optics)
    power = np.sqrt(f + 0.004) * transfer
    power /= np.sqrt(np.mean(power**2))
    stripe = power * np.exp(-((fx / 0.035) ** 2)).astype(np.float32)
    stripe /= np.sqrt(np.mean(stripe**2))
    before: Field | None = None
    pad = ((0, shape[0] - n), (0, shape[1] - m))
    for image in images:
        gain, streaks = 1.0, 0.0
        if whole:
            across, through = _load(image, pixel)
            gain = float(np.clip(np.exp(0.0042 * (max(across, through) - 240)), 0.6, 2.2))
            streaks = float(np.clip((across - 330) / 150, 0, 1.2))
        white = rng.standard_normal(shape, np.float32)
        if before is not None:
            white = (
                np.sqrt(np.float32(1 - optics.grain**2)) * white + np.float32(optics.grain) * before
            )
        before = white
        # Outside the body rays meet little matter: the middle of a section is the noisiest.
        spectrum = fft.rfft2(np.pad(image, pad, mode="edge")) * transfer
        level = optics.noise_hu * gain
        mixed = power + np.float32(streaks) * stripe
        spectrum += fft.rfft2(white * np.float32(level)) * mixed
        image[:] = fft.irfft2(spectrum, shape)[:n, :m]


def streak(image: Field, centre: tuple[float, float], amount: float, rng: np.random.Generator
           ) -> None:  # fmt: skip
    """Bright and dark rays that leave a dense vessel at (row, column), in place."""
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    dy, dx = (y - centre[0]).astype(np.float32), (x - centre[1]).astype(np.float32)
    angle = np.arctan2(dy, dx)
    rays = np.zeros_like(image)
    for k in (2, 3, 5, 8, 13, 21):
        rays += np.float32(rng.normal()) * np.sin(k * angle + np.float32(rng.uniform(0, 6.3)))
    image += np.float32(amount) * rays * 9 / (np.hypot(dy, dx) + 12)


def crossing(duct: Duct, z: float) -> tuple[float, float] | None:
    """(y, x) where a duct crosses a height; None where it does not."""
    at = duct.points[:, 0]
    if not at.min() <= z <= at.max():
        return None
    k = int(np.argmin(np.abs(at - z)))
    return float(duct.points[k, 1]), float(duct.points[k, 2])
