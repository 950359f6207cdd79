"""Rows of series that came again with other bytes, and of whose study the PACS says it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from node.domain.discrepancy import Decision, Difference, Kind
from node.ledger.database import Database
from node.ledger.studies import Studies


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyRow:
    """One series that came again; `attributes` are keywords, never values."""

    study_uid: str
    series_uid: str
    earlier_study_uid: str
    kind: Kind
    instances: int
    attributes: tuple[str, ...]
    decision: Decision
    why: str
    at: float


@dataclass(frozen=True, slots=True)
class WrittenIdentity:
    """Whose study the current results say it is.

    Attributes:
        attributes: values by keyword, as they were written. differing: keywords in which the
            PACS contradicts the images. checked: the PACS told.
    """

    attributes: Mapping[str, str]
    differing: tuple[str, ...]
    checked: bool
    at: float


class Discrepancies:
    """The discrepancy and held_identity tables."""

    def __init__(
        self, database: Database, studies: Studies, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._studies = studies
        self._clock = clock

    def record(self, difference: Difference, decision: Decision, why: str) -> bool:
        """Write what was decided about a series; False when the same stands there already."""
        newer, earlier = difference.newer[0], difference.earlier[0]
        known = self._find(newer.study_uid, newer.series_uid)
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO discrepancy VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    newer.study_uid,
                    newer.series_uid,
                    earlier.study_uid,
                    difference.kind,
                    len(difference.newer),
                    ",".join(difference.keywords),
                    decision,
                    why,
                    self._clock(),
                ),
            )
        if known is None or decision is Decision.TAKEN:
            return True
        before = (known.kind, known.instances, known.decision)
        return before != (difference.kind, len(difference.newer), decision)

    def of_study(self, study_uid: str) -> tuple[DiscrepancyRow, ...]:
        """Every series of a study that came again, or whose images came again in another one."""
        rows = self._database.rows(
            "SELECT * FROM discrepancy WHERE study_uid=? OR earlier_study_uid=? ORDER BY at",
            (study_uid, study_uid),
        )
        return tuple(
            DiscrepancyRow(
                study_uid=row["study_uid"],
                series_uid=row["series_uid"],
                earlier_study_uid=row["earlier_study_uid"],
                kind=Kind(row["kind"]),
                instances=row["instances"],
                attributes=tuple(filter(None, row["attributes"].split(","))),
                decision=Decision(row["decision"]),
                why=row["why"],
                at=row["at"],
            )
            for row in rows
        )

    def write_identity(
        self,
        study_uid: str,
        attributes: Mapping[str, str],
        differing: tuple[str, ...],
        *,
        checked: bool,
    ) -> None:
        """Remember whose study a result says it is; the differing keywords go into its life."""
        known = self.identity(study_uid)
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO held_identity VALUES (?,?,?,?,?)",
                (
                    study_uid,
                    json.dumps(dict(attributes), ensure_ascii=False),
                    ",".join(differing),
                    int(checked),
                    self._clock(),
                ),
            )
            if differing and (known is None or known.differing != differing):
                self._studies.tell(
                    study_uid,
                    "identity of the PACS",
                    f"results carry what the PACS holds; the images differ in "
                    f"{', '.join(differing)}",
                )

    def identity(self, study_uid: str) -> WrittenIdentity | None:
        """Whose study the current results say it is; None where no PACS was asked."""
        row = self._database.row("SELECT * FROM held_identity WHERE study_uid=?", (study_uid,))
        if row is None:
            return None
        return WrittenIdentity(
            attributes=json.loads(row["attributes"]),
            differing=tuple(filter(None, row["differing"].split(","))),
            checked=bool(row["checked"]),
            at=row["at"],
        )

    def _find(self, study_uid: str, series_uid: str) -> DiscrepancyRow | None:
        found = [
            row
            for row in self.of_study(study_uid)
            if (row.study_uid, row.series_uid) == (study_uid, series_uid)
        ]
        return found[0] if found else None
