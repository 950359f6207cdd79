"""Batches come in the order in which they were made, and so does an error."""

from __future__ import annotations

from itertools import count

import pytest

from models.recipe.ahead import Ahead


def test_order_is_kept_and_it_ends_when_closed() -> None:
    numbers = count()
    ahead = Ahead(lambda: next(numbers), depth=3)
    assert [ahead() for _ in range(20)] == list(range(20))
    ahead.close()
    made = next(numbers)
    assert made <= 25
    assert next(numbers) == made + 1


def test_an_error_comes_to_the_caller() -> None:
    def broken() -> int:
        raise ValueError("no file")

    ahead = Ahead(broken)
    with pytest.raises(ValueError, match="no file"):
        ahead()
    ahead.close()
