"""Fixtures for every room."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# What a busy machine does slowly is no fault of what is tested.
settings.register_profile("vigie", deadline=None)
settings.load_profile("vigie")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_images() -> Path:
    """The development images beside the checkout."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the development images (../shared/data) are not beside this checkout")
    return folder
