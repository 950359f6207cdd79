"""Stored values of one frame -> values in the unit of the modality, and where it is padding.

Modality LUT module PS3.3 C.11.1, pixel padding C.7.5.1.1.2, bits stored PS3.5 8.1.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.attributes import Frame
from inference.codecs import PixelFormat, Stored
from node.domain.errors import VolumeError
from node.domain.imaging import Voxels

#: Air outside the patient, and what padding becomes.
AIR_HU = -1024
#: A padding value above this is tissue in HU. Some writers state 0 (water) as padding value
#: without padding anything; only a region of it that touches the image edge is then padding.
PADDING_IS_AIR_BELOW_HU = -200
_RESCALE = "PixelValueTransformationSequence"
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescale:
    """value = stored x slope + intercept.

    Attributes:
        padding: (lowest, highest) stored value that means "no image here", or None.
        has_overlay_bits: an overlay lies in the bits above the pixel value (retired, PS3.5 8.1.2).
        is_ct: values are HU, and nothing below -1024 HU is image.
    """

    slope: float
    intercept: float
    padding: tuple[int, int] | None
    has_overlay_bits: bool
    is_ct: bool

    @property
    def is_whole(self) -> bool:
        """Whole numbers stay whole."""
        return self.slope.is_integer() and self.intercept.is_integer()

    def value(self, stored: float) -> float:
        """One stored value in the unit of the image."""
        return stored * self.slope + self.intercept


def read_rescale(frame: Frame, form: PixelFormat, *, is_ct: bool) -> Rescale:
    """Read slope, intercept and padding of one frame.

    Raises:
        VolumeError: a CT image whose values cannot be put in HU.
    """
    slope, intercept = (
        frame.number(_RESCALE, "RescaleSlope"),
        frame.number(_RESCALE, "RescaleIntercept"),
    )
    if is_ct:
        if "ModalityLUTSequence" in frame.find("", "ModalityLUTSequence"):
            raise VolumeError("turns stored values into others by a table, so they are not HU")
        if slope is None or intercept is None:
            raise VolumeError("states no rescale slope and intercept, so its values are not HU")
        # Type 1C, absent means HU for original images (PS3.3 C.8.2.1.1.2, C.11.1.1.2).
        unit = frame.text(_RESCALE, "RescaleType").upper()
        if unit not in ("", "HU"):
            raise VolumeError(f"states its values in {unit[:16]}, not in HU")
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if slope == 0 or abs(slope) > 1e6 or abs(intercept) > 1e6:
        raise VolumeError(f"states a rescale slope of {slope:g}, which is no scale")
    return Rescale(
        slope=slope,
        intercept=intercept,
        padding=_padding(frame, form),
        has_overlay_bits=_has_overlay_bits(frame),
        is_ct=is_ct,
    )


def stored_values(raw: Stored, form: PixelFormat) -> Stored:
    """The bits that are pixel value, sign-extended; what lies above or below is dropped."""
    spare_above = form.bits_allocated - 1 - form.high_bit
    spare_below = form.high_bit + 1 - form.bits_stored
    if not spare_above and not spare_below:
        return raw
    values = raw.astype(form.dtype.newbyteorder("="), copy=False)
    # Left to drop what is above, right to bring the lowest bit to 0; the right shift of a
    # signed type repeats the sign.
    shifted: Stored = (values << spare_above) >> (spare_above + spare_below)
    return shifted


def apply_rescale(
    raw: Stored, form: PixelFormat, rescale: Rescale
) -> tuple[Voxels, NDArray[np.bool_] | None]:
    """Values and padding of one frame.

    Args:
        raw: (row, column) as decoded.

    Returns:
        ((row, column) int16 where that is exact, else float32; (row, column) bool, True where
        padding was replaced by -1024 HU, or None). Padding is only replaced in CT.
    """
    stored = stored_values(raw, form)
    padding = _declared(raw, stored, form, rescale)
    if stored is not raw and not rescale.has_overlay_bits:
        _refuse_spilled_bits(raw, padding, form)
    values = _scaled(stored, rescale)
    if not rescale.is_ct:
        return values, padding
    if values.min() < AIR_HU:
        below = values < AIR_HU
        padding = below if padding is None else padding | below
    if padding is not None:
        values[padding] = AIR_HU
    return values, padding


@dataclass(frozen=True, slots=True)
class InPlace:
    """The values are where the stored values were; `padding` as `apply_rescale` gives it."""

    padding: NDArray[np.bool_] | None


def rescale_in_place(raw: Stored, form: PixelFormat, rescale: Rescale) -> InPlace | None:
    """`apply_rescale` without a second array, for what most CT images are.

    Args:
        raw: (row, column) of 16 bits as decoded; becomes int16 values of the same bytes.

    Returns:
        None where that cannot be done; `raw` is then as it was.
    """
    low, high = int(raw.min()), int(raw.max())
    bottom, top = (
        (-1 << form.bits_stored - 1, 1 << form.bits_stored - 1)
        if form.signed
        else (
            0,
            1 << form.bits_stored,
        )
    )
    fits = form.high_bit == form.bits_stored - 1 and bottom <= low and high < top
    ends = low + rescale.intercept, high + rescale.intercept
    whole = rescale.slope == 1 and rescale.is_whole
    if not fits or not whole or ends[0] < _INT16.min or ends[1] > _INT16.max:
        return None
    padding = None
    if rescale.padding is not None and rescale.padding[0] <= high and rescale.padding[1] >= low:
        padding = _declared(raw, raw, form, rescale)
    values = raw.view("<i2")
    # Unsigned values beyond int16 come back into it, since the sums are in its range.
    values += np.int64(rescale.intercept).astype(np.int16)
    if rescale.is_ct:
        if ends[0] < AIR_HU:
            below = values < AIR_HU
            padding = below if padding is None else padding | below
        if padding is not None:
            np.copyto(values, AIR_HU, where=padding)
    return InPlace(padding)


def _refuse_spilled_bits(raw: Stored, padding: NDArray[np.bool_] | None, form: PixelFormat) -> None:
    """Bits above the stored ones that are neither empty nor the sign: the header is wrong.

    Cutting them off would turn bright into dark without a trace.
    """
    above = raw.astype(form.dtype.newbyteorder("="), copy=False) >> (form.high_bit + 1)
    spilled = (above != 0) & (above != -1) if form.signed else above != 0
    if padding is not None:
        spilled &= ~padding
    if spilled.any():
        raise VolumeError(
            f"has pixel values that need more than the {form.bits_stored} bits its header states"
        )


def _scaled(stored: Stored, rescale: Rescale) -> Voxels:
    ends = (rescale.value(int(stored.min())), rescale.value(int(stored.max())))
    fits = rescale.is_whole and _INT16.min <= min(ends) and max(ends) <= _INT16.max
    if not fits:
        scaled = stored.astype(np.float64) * rescale.slope + rescale.intercept
        return scaled.astype(np.float32)
    if rescale.slope == 1:
        whole = stored + np.int32(rescale.intercept)
    else:
        whole = stored.astype(np.int64) * int(rescale.slope) + int(rescale.intercept)
    return whole.astype(np.int16)


def _has_overlay_bits(frame: Frame) -> bool:
    """Overlay Bit Position above 0 in any of the sixteen overlay groups (PS3.3 C.9.2)."""
    top = frame.top.dataset
    return any(
        (group, 0x0102) in top and top[group, 0x0102].value for group in range(0x6000, 0x6020, 2)
    )


def _padding(frame: Frame, form: PixelFormat) -> tuple[int, int] | None:
    """Stored values from PixelPaddingValue to PixelPaddingRangeLimit, in either order."""
    value = frame.number("", "PixelPaddingValue")
    if value is None:
        return None
    limit = frame.number("", "PixelPaddingRangeLimit")
    ends = [_as_stored(end, form) for end in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _as_stored(value: float, form: PixelFormat) -> int:
    """A padding value in the sign of the pixels: its VR is US or SS and often the wrong one."""
    span = 1 << form.bits_allocated
    whole = int(value) % span
    return whole - span if form.signed and whole >= span // 2 else whole


def _declared(
    raw: Stored, stored: Stored, form: PixelFormat, rescale: Rescale
) -> NDArray[np.bool_] | None:
    if rescale.padding is None:
        return None
    low, high = rescale.padding
    # Writers put padding beyond the stored bits (63536 in 12 bits), so look before masking too.
    whole = raw.astype(form.dtype.newbyteorder("="), copy=False)
    found = (whole >= low) & (whole <= high)
    if stored is not raw:
        found |= (stored >= low) & (stored <= high)
    if rescale.is_ct and max(rescale.value(low), rescale.value(high)) > PADDING_IS_AIR_BELOW_HU:
        found = _touching_the_edge(found)
    return found if found.any() else None


def _touching_the_edge(found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(found)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return found & np.isin(labels, np.unique(edge[edge > 0]))
