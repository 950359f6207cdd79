"""The image's own edge of an endplate, with a network that is only roughly right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from models.vertebral_fractures.frames import COLUMN_BACK, FINE_UP, ROW_UP, Strip
from models.vertebral_fractures.outlines import BODY, Outline, outline_of

TOP, BOTTOM, FRONT, BACK = 11.3, -12.4, -15.0, 14.0
SLICE_MM = 0.6


def strip(rise: float = 0.0) -> Strip:
    """A body of 180 HU with dense endplates between discs of 80 HU; `rise`: of them, mm a mm."""
    up, back = np.meshgrid(FINE_UP, COLUMN_BACK, indexing="ij")
    shift = rise * back
    ends = np.minimum(TOP + shift - up, up - BOTTOM - shift)
    walls = np.minimum(back - FRONT, BACK - back)
    outer = np.clip(ends / 0.5 + 0.5, 0, 1) * np.clip(walls + 0.5, 0, 1)
    inner = np.clip((ends - 1.0) / 0.5 + 0.5, 0, 1) * np.clip(walls - 0.5, 0, 1)
    hu = np.where(np.abs(up) > 20, 180.0, 80.0)
    hu = hu * (1 - outer) + 600.0 * (outer - inner) + 180.0 * inner
    return Strip(fine=np.asarray(hu, np.float32), seen=np.ones(hu.shape, np.float32))


def shares(off_mm: float, rise: float = 0.0) -> np.ndarray:
    """What a network would say that is off by so much at both endplates."""
    up, back = np.meshgrid(ROW_UP, COLUMN_BACK, indexing="ij")
    shift = rise * back
    inside = (up < TOP + off_mm + shift) & (up > BOTTOM - off_mm + shift)
    inside &= (back > FRONT) & (back < BACK)
    found = np.zeros((3, 64, 64), np.float32)
    found[BODY] = np.where(inside, 0.98, 0.01)
    found[0] = 1 - found[BODY]
    return found


@pytest.mark.parametrize("off_mm", [-2.0, 0.0, 2.0])
@pytest.mark.parametrize("rise", [0.0, 0.15])
def test_the_edge_is_found_to_half_a_millimetre_where_the_network_is_off_by_two(
    off_mm: float, rise: float
) -> None:
    outline = outline_of(strip(rise), shares(off_mm, rise), SLICE_MM)
    assert isinstance(outline, Outline)
    shift = rise * outline.columns
    inner = slice(2, -2)
    assert np.abs(outline.edge_upper - TOP - shift)[inner].max() < 0.6
    assert np.abs(outline.edge_lower - BOTTOM - shift)[inner].max() < 0.6
    assert outline.lean == pytest.approx(-np.arctan(rise), abs=0.02)
    assert outline.front == pytest.approx(FRONT, abs=1.0)
    assert outline.back == pytest.approx(BACK, abs=1.0)


@pytest.mark.parametrize("doubt_mm", [1.0, 2.0])
def test_a_border_that_the_network_sees_softly_is_as_doubtful_as_it_is_soft(
    doubt_mm: float,
) -> None:
    sharp = shares(0.0)
    sharp[BODY] = np.where(sharp[BODY] > 0.5, 1.0, 0.0)
    soft = sharp.copy()
    soft[BODY] = ndimage.gaussian_filter1d(sharp[BODY], doubt_mm, axis=0)
    for given, expected in ((sharp, 0.0), (soft, doubt_mm)):
        outline = outline_of(strip(), given, SLICE_MM)
        assert isinstance(outline, Outline)
        assert outline.doubts.shape == (2, len(outline.columns))
        assert outline.doubts[:, 2:-2] == pytest.approx(expected, abs=0.15)


def test_spurs_do_not_lengthen_a_body() -> None:
    seen = shares(0.0)
    # Two thin lips in front of the rims.
    seen[BODY][20:23, 10:17] = 0.98
    seen[BODY][41:44, 10:17] = 0.98
    outline = outline_of(strip(), seen, SLICE_MM)
    assert isinstance(outline, Outline)
    assert outline.front == pytest.approx(FRONT, abs=1.2)


def test_where_the_network_sees_no_body_or_an_impossible_one_it_is_said() -> None:
    nothing = np.zeros((3, 64, 64), np.float32)
    assert outline_of(strip(), nothing, SLICE_MM) == (
        "no vertebral body is seen where the anatomy has one"
    )
    thin = shares(-10.5)
    assert "no vertebral body is" in str(outline_of(strip(), thin, SLICE_MM))
