"""Stored values to HU, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from inference.attributes import Attributes, Frames
from inference.codecs import PixelFormat
from inference.rescale import apply_rescale, read_rescale
from node.domain.errors import VolumeError
from node.domain.imaging import Voxels


def hu_of(
    stored: NDArray[Any], *, bits: int = 16, slope: float = 1, intercept: float = 0, **header: Any
) -> tuple[Voxels, NDArray[np.bool_] | None]:
    """Values and padding of one CT frame of these stored values."""
    data_set = Dataset()
    data_set.RescaleSlope, data_set.RescaleIntercept = slope, intercept
    for keyword, value in header.items():
        setattr(data_set, keyword, value)
    form = PixelFormat(
        rows=stored.shape[0],
        columns=stored.shape[1],
        bits_allocated=stored.dtype.itemsize * 8,
        bits_stored=bits,
        high_bit=bits - 1,
        signed=stored.dtype.kind == "i",
        frames=1,
    )
    frame = Frames(Attributes(data_set)).frame(None)
    return apply_rescale(stored, form, read_rescale(frame, form, is_ct=True))


def grid(*values: int, dtype: str = "<u2") -> NDArray[Any]:
    """One row of stored values."""
    return np.array([values], dtype=np.int64).astype(dtype)


def test_unsigned_values_above_the_range_of_int16_stay_right() -> None:
    values, padding = hu_of(grid(0, 1024, 60_000), intercept=-1024)
    np.testing.assert_array_equal(values, [[-1024, 0, 58_976]])
    assert values.dtype == np.float32
    assert padding is None


def test_whole_numbers_stay_int16() -> None:
    values, _ = hu_of(grid(0, 10, 2000), slope=2, intercept=-1000)
    np.testing.assert_array_equal(values, [[-1000, -980, 3000]])
    assert values.dtype == np.int16


def test_twelve_signed_bits_without_sign_extension_are_negative() -> None:
    values, _ = hu_of(grid(0x0FFF, 0x0800 + 1024, 0x07FF, dtype="<i2"), bits=12)
    np.testing.assert_array_equal(values, [[-1, -1024, 2047]])


def test_twelve_signed_bits_with_sign_extension_are_the_same() -> None:
    values, _ = hu_of(grid(-1, -1000, 2047, dtype="<i2"), bits=12)
    np.testing.assert_array_equal(values, [[-1, -1000, 2047]])


def test_values_that_need_more_bits_than_stated_are_refused() -> None:
    with pytest.raises(VolumeError, match="more than the 12 bits"):
        hu_of(grid(100, 5000), bits=12, intercept=-1024)


def test_bits_of_an_embedded_overlay_are_dropped() -> None:
    data_set = Dataset()
    data_set.RescaleSlope, data_set.RescaleIntercept = 1, -1024
    data_set.add_new((0x6000, 0x0102), "US", 12)
    form = PixelFormat(
        rows=1, columns=2, bits_allocated=16, bits_stored=12, high_bit=11, signed=False, frames=1
    )
    rescale = read_rescale(Frames(Attributes(data_set)).frame(None), form, is_ct=True)
    values, _ = apply_rescale(grid(0x1000 | 1024, 1064), form, rescale)
    np.testing.assert_array_equal(values, [[0, 40]])


def test_values_below_air_are_padding_though_the_header_says_nothing() -> None:
    values, padding = hu_of(grid(-3024, -1024, 40, dtype="<i2"))
    np.testing.assert_array_equal(values, [[-1024, -1024, 40]])
    np.testing.assert_array_equal(padding, [[True, False, False]])


def test_padding_beyond_the_stored_bits_is_recognised() -> None:
    stored = grid(63_536, 1024, 2096)
    values, padding = hu_of(stored, bits=12, intercept=-1024, PixelPaddingValue=63_536)
    # 63536 cut to 12 bits is 2096: the real 2096 beside it stays what it is.
    np.testing.assert_array_equal(values, [[-1024, 0, 1072]])
    np.testing.assert_array_equal(padding, [[True, False, False]])


def test_a_signed_padding_value_written_unsigned_is_recognised() -> None:
    values, padding = hu_of(grid(-2000, 5, dtype="<i2"), PixelPaddingValue=63_536)
    np.testing.assert_array_equal(values, [[-1024, 5]])
    np.testing.assert_array_equal(padding, [[True, False]])


def test_a_range_of_padding_values_is_padding() -> None:
    _, padding = hu_of(
        grid(0, 5, 10, 11), intercept=-1024, PixelPaddingValue=10, PixelPaddingRangeLimit=0
    )
    np.testing.assert_array_equal(padding, [[True, True, True, False]])


def test_water_is_padding_only_where_it_touches_the_edge() -> None:
    stored = np.full((5, 5), 40, dtype="<i2")
    stored[0, 0] = stored[2, 2] = 0
    values, padding = hu_of(stored, PixelPaddingValue=0)
    assert padding is not None
    assert padding[0, 0]
    assert not padding[2, 2]
    assert (values[0, 0], values[2, 2]) == (-1024, 0)


def test_a_modality_table_is_no_hu() -> None:
    with pytest.raises(VolumeError, match="by a table"):
        hu_of(grid(1), ModalityLUTSequence=[Dataset()])
