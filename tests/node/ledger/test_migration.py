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


def test_reports_that_came_before_feedback_was_read_are_read_after_the_upgrade(
    tmp_path: Path,
) -> None:
    """Version 7 kept structured reports as images; version 8 queues them, once."""
    Ledger(tmp_path).close()
    old = sqlite3.connect(tmp_path / FILE_NAME)
    for table in ("finding", "read_report", "feedback", "reader_document"):
        old.execute(f"DROP TABLE {table}")
    for uid, class_uid, current in (
        ("1.1", "1.2.840.10008.5.1.4.1.1.88.33", 1),
        ("1.2", "1.2.840.10008.5.1.4.1.1.2", 1),
        ("1.3", "1.2.840.10008.5.1.4.1.1.88.22", 0),
    ):
        old.execute(
            "INSERT INTO instance VALUES (?,'d',?,'1','1.9','1.2','p',0,9,9,'VIEWER',5.0,?)",
            (uid, class_uid, current),
        )
    old.execute("INSERT INTO result_object VALUES ('1.7','k','1','1.2','1.3','report',1,'r.dcm')")
    old.execute(
        "INSERT INTO job (key, study_uid, candidates, model, generation, priority, state, "
        "created_at) VALUES ('k','1','','m',1,1,'done',0)"
    )
    old.execute("UPDATE meta SET value='7' WHERE key='version'")
    old.commit()
    old.close()
    for _ in range(2):
        ledger = Ledger(tmp_path)
        assert [row.sop_instance_uid for row in ledger.documents.waiting(10)] == ["1.1"]
        assert ledger.findings.unread(10) == (("1.7", "k"),)
        assert ledger.feedback.answers() == ()
        ledger.close()


def test_a_ledger_without_models_gets_their_tables(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE_NAME)
    old.executescript(TABLES)
    for version in sorted(MIGRATIONS):
        if version < 9:
            old.executescript(MIGRATIONS[version])
    old.execute("INSERT INTO meta VALUES ('version', '8')")
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
