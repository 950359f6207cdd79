"""Rows of the models in use: state, proof, what failed here, and what their jobs took."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from node.domain.serving import ModelState
from node.ledger.database import Database

#: How many of the newest jobs of a model tell what the next one will take.
_USES_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model as the ledger knows it; times in seconds since the epoch.

    Attributes:
        cause: why it is out of service, or "". since: when it came into this state.
        digest: of the package that was proved last. fingerprint: of this computer then.
        barred: label of what networks cannot be run on here ("tensorrt/fp16") -> cause.
        proof: JSON values of the last proof that was good; empty before the first.
        proved_at: when that was. asked_at: when somebody asked to try it again; None: nobody.
    """

    model: str
    state: ModelState = ModelState.LOADING
    cause: str = ""
    since: float = 0.0
    digest: str = ""
    fingerprint: str = ""
    barred: Mapping[str, str] = field(default_factory=dict)
    proof: Mapping[str, Any] = field(default_factory=dict)
    proved_at: float | None = None
    asked_at: float | None = None


class Service:
    """The tables `model` and `job_use`."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def every(self) -> tuple[ModelRow, ...]:
        """All models that were in use when the node ran last, by name."""
        rows = self._database.rows("SELECT * FROM model ORDER BY model")
        return tuple(_model(row) for row in rows)

    def get(self, model: str) -> ModelRow | None:
        """One model."""
        row = self._database.row("SELECT * FROM model WHERE model=?", (model,))
        return _model(row) if row else None

    def keep_only(self, models: Collection[str]) -> None:
        """Forget models that are no longer in use."""
        with self._database.transaction() as db:
            for row in self.every():
                if row.model not in models:
                    db.execute("DELETE FROM model WHERE model=?", (row.model,))
                    db.execute("DELETE FROM job_use WHERE model=?", (row.model,))

    def set_state(self, model: str, state: ModelState, cause: str = "") -> None:
        """It is in this state; the time stays when it was already."""
        with self._database.transaction() as db:
            db.execute("INSERT OR IGNORE INTO model (model) VALUES (?)", (model,))
            db.execute(
                "UPDATE model SET since=CASE WHEN state=? THEN since ELSE ? END, state=?, cause=? "
                "WHERE model=?",
                (state, self._clock(), state, cause, model),
            )

    def proved(self, row: ModelRow) -> None:
        """Its golden case was reproduced now: digest, fingerprint, barred and proof of `row`."""
        with self._database.transaction() as db:
            db.execute("INSERT OR IGNORE INTO model (model) VALUES (?)", (row.model,))
            db.execute(
                "UPDATE model SET digest=?, fingerprint=?, barred=?, proof=?, proved_at=? "
                "WHERE model=?",
                (
                    row.digest,
                    row.fingerprint,
                    json.dumps(dict(row.barred)),
                    json.dumps(dict(row.proof)),
                    self._clock(),
                    row.model,
                ),
            )

    def ask(self, model: str) -> bool:
        """Ask the running node to try a model again; False when it does not know the model."""
        with self._database.transaction() as db:
            cursor = db.execute("UPDATE model SET asked_at=? WHERE model=?", (self._clock(), model))
            return bool(cursor.rowcount)

    def take_asked(self) -> tuple[str, ...]:
        """Models that somebody asked to try again, each told once."""
        rows = self._database.rows("SELECT model FROM model WHERE asked_at IS NOT NULL")
        if rows:
            with self._database.transaction() as db:
                db.execute("UPDATE model SET asked_at=NULL")
        return tuple(row["model"] for row in rows)

    def record_use(self, model: str, *, voxels: int, peak_mb: int) -> None:
        """What a job of a model took."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT INTO job_use (model, voxels, peak_mb) VALUES (?,?,?)",
                (model, voxels, peak_mb),
            )
            db.execute(
                "DELETE FROM job_use WHERE model=? AND id NOT IN "
                "(SELECT id FROM job_use WHERE model=? ORDER BY id DESC LIMIT ?)",
                (model, model, _USES_KEPT),
            )

    def uses(self, model: str) -> tuple[tuple[int, int], ...]:
        """(voxels, peak MB) of the newest jobs of a model, newest first."""
        rows = self._database.rows(
            "SELECT voxels, peak_mb FROM job_use WHERE model=? ORDER BY id DESC", (model,)
        )
        return tuple((row["voxels"], row["peak_mb"]) for row in rows)


def _model(row: sqlite3.Row) -> ModelRow:
    return ModelRow(
        model=row["model"],
        state=ModelState(row["state"]),
        cause=row["cause"],
        since=row["since"],
        digest=row["digest"],
        fingerprint=row["fingerprint"],
        barred=json.loads(row["barred"]),
        proof=json.loads(row["proof"]),
        proved_at=row["proved_at"],
        asked_at=row["asked_at"],
    )
