"""A ledger of an earlier version is brought up to date, and nothing in it is called proved."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from node.domain.serving import ModelState
from node.ledger import Ledger
from node.ledger.ledger import FILE_NAME
from node.ledger.schema import MIGRATIONS, SCHEMA_VERSION, TABLES
from node.ledger.states import DeliveryState


def test_delivery_of_an_earlier_version_is_unproved(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE_NAME)
    old.executescript(TABLES)
    old.execute("INSERT INTO meta VALUES ('version', '2')")
    old.execute("INSERT INTO result_object VALUES ('1.1','k','1','1.2','1.3','report',1,'r.dcm')")
    for destination, state in (("pacs", "accepted"), ("other", "waiting")):
        old.execute(
            "INSERT INTO delivery (sop_instance_uid, destination, study_uid, job_key, state, "
            "created_at) VALUES ('1.1',?,'1','k',?,0)",
            (destination, state),
        )
    old.commit()
    old.close()
    for _ in range(2):
        ledger = Ledger(tmp_path)
        found = {item.destination: item.state for item in ledger.outbox.of_study("1")}
        assert found == {"pacs": DeliveryState.UNPROVED, "other": DeliveryState.WAITING}
        ledger.close()
    now = sqlite3.connect(tmp_path / FILE_NAME)
    assert now.execute("SELECT value FROM meta").fetchone() == (str(SCHEMA_VERSION),)
    now.close()


def test_a_ledger_without_models_gets_their_tables(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE_NAME)
    old.executescript(TABLES)
    for version in sorted(MIGRATIONS):
        if version < 9:
            old.executescript(MIGRATIONS[version])
    old.execute("INSERT INTO meta VALUES ('version', '7')")
    old.commit()
    old.close()
    for _ in range(2):
        ledger = Ledger(tmp_path)
        ledger.service.set_state("m", ModelState.QUARANTINED, "gone")
        ledger.service.record_use("m", voxels=1, peak_mb=2)
        assert [(row.model, row.state, row.cause) for row in ledger.service.every()] == [
            ("m", ModelState.QUARANTINED, "gone")
        ]
        ledger.close()
