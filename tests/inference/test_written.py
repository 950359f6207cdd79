"""Ages as headers write them."""

import pytest

from inference.written import age_in_years


@pytest.mark.parametrize(
    ("written", "years"),
    [("054Y", 54), ("018M", 1.5), ("8Y", 8), ("12", 12), ("054", 54), ("6 M", 0.5)],
)
def test_an_age_is_read_without_leading_zeros_or_unit_too(written: str, years: float) -> None:
    assert age_in_years(written) == pytest.approx(years)


@pytest.mark.parametrize("written", ["", "Y", "old", "1954Y", "-12Y", "12.5Y", "012X"])
def test_what_is_no_age_is_none(written: str) -> None:
    assert age_in_years(written) is None
