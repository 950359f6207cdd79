"""The short form of the association storm and of the receiver's kill campaign."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.receiving import campaign
from tests.soak.storm import storm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_storm_of_associations_leaks_nothing(tmp_path: Path) -> None:
    stormed = storm(tmp_path / "store", associations=200)
    assert stormed.faults == []
    assert stormed.associations == 200


def test_what_was_acknowledged_survives_kills_while_eight_senders_are_at_work(
    tmp_path: Path,
) -> None:
    counted = campaign(tmp_path / "store", kills=6, seed=1)
    assert counted.faults == []
    assert len(counted.acknowledged) > 50
    assert counted.sent_again
