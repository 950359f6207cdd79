"""The lines of `explain STUDY` about who was called, and the same for machines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from node.ledger import Ledger
from node.ledger.alerts import AlertRow, AlertState


def told_alerts(ledger: Ledger, study_uid: str) -> Iterator[str]:
    """One line for each alert: to which channel, when, how it was acknowledged, or why not."""
    for row in ledger.alerts.of_study(study_uid):
        attempts = f"{row.attempts} attempt" + ("" if row.attempts == 1 else "s")
        yield (
            f"{row.kind.value} {row.finding} to {row.channel} (rule {row.rule}): "
            f"{row.state.value}{_when(row)}, {attempts}{_said(row)}"
        )


def _when(row: AlertRow) -> str:
    at = row.not_before if row.state is AlertState.WAITING else row.finished_at
    if not at:
        return ""
    moment = datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f", next try {moment}" if row.state is AlertState.WAITING else f" {moment}"


def _said(row: AlertRow) -> str:
    if row.state is AlertState.SENT:
        return f", acknowledged: {row.answer}"
    return f": {row.cause}" if row.cause else ""
