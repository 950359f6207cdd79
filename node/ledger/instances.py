"""Rows of stored instances: the index, derived from the segments of the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from node.domain.extent import Extent
from node.domain.feedback import READER_DOCUMENTS
from node.domain.study import (
    ClassUID,
    Filing,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)
from node.ledger.database import Database
from node.ledger.documents import Documents
from node.ledger.studies import Studies
from scp.contracts import Durable

#: Rows of one statement. Each statement lets go of the interpreter and has to wait for it again,
#: while the associations are answering; SQLite takes 32,766 values in one.
_ROWS = 512


class Instances:
    """The instance table. Paths are stored relative to the storage folder."""

    def __init__(
        self, database: Database, studies: Studies, documents: Documents, root: Path
    ) -> None:
        self._database = database
        self._studies = studies
        self._documents = documents
        self._root = root

    def record_all(self, batch: Sequence[Durable]) -> list[Filing]:
        """File stored instances in their order; durable when this returns.

        Raises:
            LedgerError: none of them could be filed.
        """
        with self._database.transaction() as db:
            filings = self._file([item.instance for item in batch])
            ends = {item.segment: item.end for item in batch}
            db.executemany("INSERT OR REPLACE INTO segment VALUES (?,?)", ends.items())
            return filings

    def record(self, instance: Instance) -> Filing:
        """File one stored instance; durable when this returns.

        An instance that is not a duplicate puts its study into RECEIVING, whatever state it
        was in (a late image reopens it); a structured report is queued to be read instead.
        """
        return self._file([instance])[0]

    def _file(self, instances: Sequence[Instance]) -> list[Filing]:
        filings: list[Filing] = []
        latest: dict[str, float] = {}
        conflicts: dict[str, tuple[int, float]] = {}
        rows: list[tuple[str | int | float | None, ...]] = []
        reports: list[Instance] = []
        with self._database.transaction() as db:
            known = _digests(db, [instance.sop_instance_uid for instance in instances])
            for instance in instances:
                digests = known.setdefault(instance.sop_instance_uid, set())
                if instance.digest in digests:
                    filings.append(Filing.DUPLICATE)
                    continue
                filing = Filing.CONFLICT if digests else Filing.NEW
                digests.add(instance.digest)
                filings.append(filing)
                rows.append(self._row(instance, filing))
                at = instance.received_at.timestamp()
                if instance.sop_class_uid in READER_DOCUMENTS and filing is Filing.NEW:
                    reports.append(instance)
                if filing is Filing.CONFLICT:
                    number, _ = conflicts.get(instance.study_uid, (0, at))
                    conflicts[instance.study_uid] = number + 1, at
                # A structured report is part of a study that is being received; it reopens none.
                if instance.sop_class_uid not in READER_DOCUMENTS or not (
                    self._studies.is_at_work(instance.study_uid)
                ):
                    latest[instance.study_uid] = at
            _insert(db, rows)
            self._documents.queue(reports)
            for study_uid, at in latest.items():
                self._studies.touch(study_uid, at)
            for study_uid, (number, at) in conflicts.items():
                self._studies.tell(
                    study_uid,
                    "instance in conflict",
                    f"{number} came again with other bytes; all are kept, and compared when the "
                    "study is complete",
                    at=at,
                )
        return filings

    def _row(self, instance: Instance, filing: Filing) -> tuple[str | int | float | None, ...]:
        return (
            instance.sop_instance_uid,
            instance.digest,
            instance.sop_class_uid,
            instance.study_uid,
            instance.series_uid,
            instance.transfer_syntax_uid,
            self._relative(instance.extent.path),
            instance.extent.offset,
            instance.extent.length,
            instance.size_bytes,
            instance.calling_ae_title,
            instance.received_at.timestamp(),
            int(filing is Filing.NEW),
        )

    def indexed(self) -> dict[str, int]:
        """Use of a segment -> offset up to which all of it has been filed."""
        rows = self._database.rows("SELECT use, indexed FROM segment")
        return {row["use"]: int(row["indexed"]) for row in rows}

    def files_in_use(self) -> frozenset[str]:
        """Names of the files that hold an instance."""
        rows = self._database.rows("SELECT DISTINCT path FROM instance")
        return frozenset(Path(row["path"]).name for row in rows)

    def set_indexed(self, ends: Mapping[str, int]) -> None:
        """All of the store has been filed up to here; other uses of segments are over."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM segment")
            db.executemany("INSERT INTO segment VALUES (?,?)", ends.items())

    def move(self, instance: Instance) -> None:
        """Point the row of an instance at the file where its bytes are now."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE instance SET path=?, offset=?, length=? "
                "WHERE sop_instance_uid=? AND digest=?",
                (
                    self._relative(instance.extent.path),
                    instance.extent.offset,
                    instance.extent.length,
                    instance.sop_instance_uid,
                    instance.digest,
                ),
            )

    def find(self, sop_instance_uid: str) -> tuple[Instance, ...]:
        """Every stored instance with this UID, the current one first."""
        rows = self._database.rows(
            "SELECT * FROM instance WHERE sop_instance_uid=? ORDER BY current DESC",
            (sop_instance_uid,),
        )
        return tuple(self._instance(row) for row in rows)

    def of_study(self, study_uid: str) -> tuple[Instance, ...]:
        """Current instances of a study, by series and UID."""
        rows = self._database.rows(
            "SELECT * FROM instance WHERE study_uid=? AND current=1 "
            "ORDER BY series_uid, sop_instance_uid",
            (study_uid,),
        )
        return tuple(self._instance(row) for row in rows)

    def disputed(self, study_uid: str) -> tuple[tuple[Instance, Instance], ...]:
        """(newest, current) of every instance of which newer bytes came in this study."""
        rows = self._database.rows(
            "SELECT n.* FROM instance n JOIN instance c USING (sop_instance_uid) "
            "WHERE n.study_uid=? AND n.current=0 AND c.current=1 AND n.received_at>=c.received_at "
            "AND NOT EXISTS (SELECT 1 FROM instance m WHERE m.sop_instance_uid=n.sop_instance_uid "
            "AND m.received_at>n.received_at) ORDER BY n.series_uid, n.sop_instance_uid",
            (study_uid,),
        )
        newest = [self._instance(row) for row in rows]
        return tuple((item, self.find(item.sop_instance_uid)[0]) for item in newest)

    def adopt(self, instances: Iterable[Instance]) -> None:
        """Make these the current ones of their SOP Instance UIDs."""
        with self._database.transaction() as db:
            for item in instances:
                db.execute(
                    "UPDATE instance SET current=(digest=?) WHERE sop_instance_uid=?",
                    (item.digest, item.sop_instance_uid),
                )

    def received(self, study_uid: str) -> dict[str, frozenset[str]]:
        """SOP Instance UIDs of everything that came of a study, by series."""
        found: dict[str, set[str]] = {}
        for row in self._database.rows(
            "SELECT series_uid, sop_instance_uid FROM instance WHERE study_uid=?", (study_uid,)
        ):
            found.setdefault(row["series_uid"], set()).add(row["sop_instance_uid"])
        return {series_uid: frozenset(uids) for series_uid, uids in found.items()}

    def every(self) -> tuple[Instance, ...]:
        """All rows, for boot reconciliation."""
        rows = self._database.rows("SELECT * FROM instance ORDER BY study_uid, sop_instance_uid")
        return tuple(self._instance(row) for row in rows)

    def count(self) -> int:
        """Number of stored instances, conflicts included."""
        row = self._database.row("SELECT COUNT(*) AS n FROM instance")
        return int(row["n"]) if row else 0

    def forget(self, instance: Instance) -> None:
        """Take out the row of an instance whose file is gone or damaged, and say so."""
        with self._database.transaction() as db:
            db.execute(
                "DELETE FROM instance WHERE sop_instance_uid=? AND digest=?",
                (instance.sop_instance_uid, instance.digest),
            )
            self._studies.tell(
                instance.study_uid,
                "instance lost",
                f"{instance.sop_instance_uid}: its file is missing or damaged; send it again",
            )

    def remove_study(self, study_uid: str) -> None:
        """Delete the instance rows of a study that retention let go."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM instance WHERE study_uid=?", (study_uid,))
            self._studies.tell(study_uid, "instances deleted", "retention time past")

    def _relative(self, path: Path) -> str:
        text, root = str(path), f"{self._root}/"
        return text.removeprefix(root)

    def _instance(self, row: sqlite3.Row) -> Instance:
        return Instance(
            sop_instance_uid=InstanceUID(row["sop_instance_uid"]),
            sop_class_uid=ClassUID(row["sop_class_uid"]),
            study_uid=StudyUID(row["study_uid"]),
            series_uid=SeriesUID(row["series_uid"]),
            transfer_syntax_uid=TransferSyntaxUID(row["transfer_syntax_uid"]),
            extent=Extent(self._root / row["path"], int(row["offset"]), row["length"]),
            digest=row["digest"],
            size_bytes=int(row["size_bytes"]),
            calling_ae_title=row["calling_ae_title"],
            received_at=datetime.fromtimestamp(row["received_at"], tz=UTC),
        )


def _digests(db: sqlite3.Connection, uids: Sequence[str]) -> dict[str, set[str]]:
    """What is known under these SOP Instance UIDs."""
    known: dict[str, set[str]] = {}
    for at in range(0, len(uids), _ROWS):
        some = uids[at : at + _ROWS]
        places = ",".join("?" * len(some))
        for row in db.execute(
            # The text holds nothing but placeholders.
            f"SELECT sop_instance_uid, digest FROM instance WHERE sop_instance_uid IN ({places})",  # noqa: S608
            some,
        ):
            known.setdefault(row["sop_instance_uid"], set()).add(row["digest"])
    return known


def _insert(db: sqlite3.Connection, rows: Sequence[tuple[str | int | float | None, ...]]) -> None:
    for at in range(0, len(rows), _ROWS):
        some = rows[at : at + _ROWS]
        places = ",".join([f"({','.join('?' * len(some[0]))})"] * len(some))
        db.execute(
            f"INSERT INTO instance VALUES {places}",  # noqa: S608
            [value for row in some for value in row],
        )
