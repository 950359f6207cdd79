"""Rows of alerts: each thing to tell, on each channel, once; a kill loses none of them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from node.ledger.database import Database
from node.ledger.studies import Studies


class AlertKind(StrEnum):
    """What an alert is about."""

    FINDING = "finding"
    CORRECTION = "correction"
    EVENT = "event"
    RECOVERY = "recovery"


class AlertState(StrEnum):
    """Life of an alert. WAITING is open, the rest is final."""

    WAITING = "waiting"
    SENT = "sent"
    REFUSED = "refused"
    GIVEN_UP = "given up"
    #: Not sent: it was taken back before, or its channel was removed; cause in the row.
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One message to one channel.

    Attributes:
        rule: name of the rule that asked for it.
        study_uid, model, finding, job_key: "" for a trouble of the node.
        urgency: higher is sent first.
        facts: what the message says, by placeholder; nothing about the patient.
        attempts: counted before each is made, so that one under which the node died counts.
        answer: what the receiver said.
    """

    kind: AlertKind
    channel: str
    rule: str
    facts: Mapping[str, str]
    study_uid: str = ""
    model: str = ""
    finding: str = ""
    job_key: str = ""
    episode: int = 1
    urgency: int = 0
    key: str = ""
    state: AlertState = AlertState.WAITING
    attempts: int = 0
    not_before: float = 0.0
    cause: str = ""
    answer: str = ""
    created_at: float = 0.0
    finished_at: float | None = None


def key_of(row: AlertRow) -> str:
    """Hex digest of what is told, and where; who asked for it and how it is worded do not count."""
    parts = [row.kind, row.channel, row.study_uid, row.model, row.finding, str(row.episode)]
    if row.kind in (AlertKind.EVENT, AlertKind.RECOVERY):
        parts += [row.facts["event"], row.facts["about"], row.facts["since"]]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


class Alerts:
    """The alert table."""

    def __init__(
        self, database: Database, studies: Studies, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._studies = studies
        self._clock = clock

    def queue(self, row: AlertRow) -> bool:
        """Enter an alert; False when the same was entered before, whatever became of it."""
        with self._database.transaction() as db:
            cursor = db.execute(
                "INSERT INTO alert (key, kind, channel, rule, study_uid, model, finding, job_key, "
                "episode, urgency, facts, state, created_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) "
                "ON CONFLICT (key) DO NOTHING",
                (
                    key_of(row),
                    row.kind,
                    row.channel,
                    row.rule,
                    row.study_uid,
                    row.model,
                    row.finding,
                    row.job_key,
                    row.episode,
                    row.urgency,
                    _json(row.facts),
                    AlertState.WAITING,
                    self._clock(),
                ),
            )
            if cursor.rowcount and row.study_uid:
                self._studies.tell(row.study_uid, f"{_noun(row.kind)} queued", _what(row))
            return bool(cursor.rowcount)

    def last_finding(
        self, study_uid: str, model: str, finding: str, channel: str
    ) -> AlertRow | None:
        """The newest alert about this finding on this channel, whatever became of it."""
        found = self._rows(
            "WHERE study_uid=? AND model=? AND finding=? AND channel=? AND kind=? "
            "ORDER BY episode DESC LIMIT 1",
            (study_uid, model, finding, channel, AlertKind.FINDING),
        )
        return found[0] if found else None

    def told_findings(self, study_uid: str, model: str) -> tuple[AlertRow, ...]:
        """The newest alert of each finding of a model on each channel."""
        newest: dict[tuple[str, str], AlertRow] = {}
        for row in self._rows(
            "WHERE study_uid=? AND model=? AND kind=? ORDER BY episode",
            (study_uid, model, AlertKind.FINDING),
        ):
            newest[(row.finding, row.channel)] = row
        return tuple(newest.values())

    def correction_of(self, alert: AlertRow) -> AlertRow | None:
        """The correction that takes back an alert, or None."""
        key = key_of(replace(alert, kind=AlertKind.CORRECTION))
        found = self._rows("WHERE key=?", (key,))
        return found[0] if found else None

    def take_back(self, alert: AlertRow, correction: AlertRow) -> None:
        """The finding of an alert no longer holds.

        What nobody can have read is not sent at all; anything else is followed by a correction.
        """
        with self._database.transaction() as db:
            if alert.state is AlertState.WAITING:
                why = "taken back before it was sent"
                if alert.attempts:
                    why = "taken back while it was tried; a correction follows"
                self._close(db, alert, AlertState.WITHHELD, why)
            if not alert.attempts or alert.state is AlertState.REFUSED:
                return
            if not self.queue(correction):
                db.execute(
                    "UPDATE alert SET state=?, facts=?, not_before=0, cause='', finished_at=NULL "
                    "WHERE key=? AND state=?",
                    (
                        AlertState.WAITING,
                        _json(correction.facts),
                        key_of(correction),
                        AlertState.WITHHELD,
                    ),
                )

    def reopen(self, alert: AlertRow, now: AlertRow) -> None:
        """It holds again, and nobody can be said to have read it: on its way once more.

        Args:
            now: what is to be told by it now.
        """
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE alert SET state=?, not_before=0, created_at=?, finished_at=NULL, "
                "facts=?, job_key=?, rule=? WHERE key=? AND state NOT IN (?,?)",
                (
                    AlertState.WAITING,
                    self._clock(),
                    _json(now.facts),
                    now.job_key,
                    now.rule,
                    alert.key,
                    AlertState.WAITING,
                    AlertState.SENT,
                ),
            )
            if cursor.rowcount:
                self._studies.tell(alert.study_uid, "alert queued again", _what(alert))

    def withhold(self, alert: AlertRow, cause: str) -> None:
        """Take an alert off its way."""
        with self._database.transaction() as db:
            self._close(db, alert, AlertState.WITHHELD, cause)

    def withhold_unknown(self, channels: Sequence[str]) -> int:
        """At start: give up what waits for channels that are no longer configured; how many."""
        waiting = self._rows("WHERE state=?", (AlertState.WAITING,))
        gone = [row for row in waiting if row.channel not in channels]
        for row in gone:
            self.withhold(row, "the channel is no longer in appliance.yaml")
        return len(gone)

    def release(self) -> None:
        """At start: what was being sent when the node died is due again, at once."""
        with self._database.transaction() as db:
            db.execute("UPDATE alert SET not_before=0 WHERE state=?", (AlertState.WAITING,))

    def claim(self, channel: str, lease_s: float) -> AlertRow | None:
        """Count an attempt at the most urgent alert that is due; durable when this returns."""
        now = self._clock()
        due = self._database.row(
            "SELECT 1 FROM alert WHERE channel=? AND state=? AND not_before<=? LIMIT 1",
            (channel, AlertState.WAITING, now),
        )
        if due is None:
            return None
        with self._database.transaction() as db:
            row = db.execute(
                "UPDATE alert SET attempts=attempts+1, not_before=? WHERE key = (SELECT key FROM "
                "alert WHERE channel=? AND state=? AND not_before<=? "
                "ORDER BY urgency DESC, attempts, created_at LIMIT 1) RETURNING *",
                (now + lease_s, channel, AlertState.WAITING, now),
            ).fetchone()
            return _alert(row) if row else None

    def settle(
        self, alert: AlertRow, state: AlertState, *, told: str = "", delay_s: float = 0.0
    ) -> None:
        """Write how an attempt ended; WAITING means it is tried again after `delay_s`.

        Args:
            told: the answer of the receiver, or the cause of the failure.
        """
        with self._database.transaction() as db:
            if state is AlertState.WAITING:
                db.execute(
                    "UPDATE alert SET not_before=?, cause=? WHERE key=? AND state=?",
                    (self._clock() + delay_s, told, alert.key, AlertState.WAITING),
                )
                return
            self._close(db, alert, state, told)

    def of_study(self, study_uid: str) -> tuple[AlertRow, ...]:
        """All alerts about a study, oldest first."""
        return self._rows("WHERE study_uid=? ORDER BY created_at, channel", (study_uid,))

    def of_event(self, facts: Mapping[str, str]) -> tuple[AlertRow, ...]:
        """The alerts that told a trouble, known by its event, about and since."""
        rows = self._rows("WHERE kind=? ORDER BY channel", (AlertKind.EVENT,))
        wanted = ("event", "about", "since")
        return tuple(row for row in rows if all(row.facts[k] == facts[k] for k in wanted))

    def untold(self, *, waits_s: float, ended_s: float) -> tuple[AlertRow, ...]:
        """Findings and corrections that reached nobody, oldest first.

        Args:
            waits_s: for so long at least, seconds. ended_s: what was refused or given up less
                than so long ago counts too.
        """
        now = self._clock()
        return self._rows(
            "WHERE kind IN (?,?) AND ((state=? AND created_at<=?) OR (state IN (?,?) AND "
            "finished_at>?)) ORDER BY created_at",
            (
                AlertKind.FINDING,
                AlertKind.CORRECTION,
                AlertState.WAITING,
                now - waits_s,
                AlertState.REFUSED,
                AlertState.GIVEN_UP,
                now - ended_s,
            ),
        )

    def waiting(self) -> dict[str, int]:
        """Number of alerts that wait, by channel."""
        rows = self._database.rows(
            "SELECT channel, COUNT(*) AS n FROM alert WHERE state=? GROUP BY channel",
            (AlertState.WAITING,),
        )
        return {row["channel"]: int(row["n"]) for row in rows}

    def _close(self, db: sqlite3.Connection, alert: AlertRow, state: AlertState, told: str) -> None:
        sent = state is AlertState.SENT
        column = "answer" if sent else "cause"
        # What was withheld while its attempt was under way has been sent all the same.
        before = (AlertState.WAITING, AlertState.WITHHELD if sent else AlertState.WAITING)
        cursor = db.execute(
            f"UPDATE alert SET state=?, {column}=?, finished_at=? WHERE key=? AND state IN (?,?)",  # noqa: S608
            (state, told, self._clock(), alert.key, *before),
        )
        if cursor.rowcount and alert.study_uid:
            detail = _what(alert) + (f": {told}" if told else "")
            self._studies.tell(alert.study_uid, f"{_noun(alert.kind)} {state.value}", detail)

    def _rows(self, where: str, parameters: tuple[object, ...]) -> tuple[AlertRow, ...]:
        # `where` is one of the literals of this module; values are always bound.
        rows = self._database.rows(f"SELECT * FROM alert {where}", parameters)  # noqa: S608
        return tuple(_alert(row) for row in rows)


def _json(facts: Mapping[str, str]) -> str:
    return json.dumps(dict(facts), ensure_ascii=False)


def _noun(kind: AlertKind) -> str:
    return "correction" if kind is AlertKind.CORRECTION else "alert"


def _what(row: AlertRow) -> str:
    return f"{row.finding} to {row.channel}"


def _alert(row: sqlite3.Row) -> AlertRow:
    fields = {name: row[name] for name in AlertRow.__dataclass_fields__}
    fields["kind"] = AlertKind(row["kind"])
    fields["state"] = AlertState(row["state"])
    fields["facts"] = json.loads(row["facts"])
    return AlertRow(**fields)
