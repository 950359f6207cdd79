"""Measured numbers with their intervals, as a table for people and for the card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_RESAMPLES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured number.

    Attributes:
        data: on which images, e.g. "simulated" or the name of the real set.
        value: already with its unit. interval: 95 %, or "" where there is none.
    """

    metric: str
    data: str
    value: str
    interval: str = ""
    n: int = 1


def mean_row(metric: str, data: str, values: Sequence[float], form: str = "{:.3f}") -> Row:
    """The mean with its bootstrap interval (percentile, fixed seed)."""
    found = np.asarray(values, np.float64)
    if found.size == 0:
        return Row(metric=metric, data=data, value="not measured", n=0)
    interval = ""
    if found.size > 1:
        rng = np.random.default_rng(20)
        means = rng.choice(found, (_RESAMPLES, found.size)).mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        interval = f"{form.format(low)} to {form.format(high)}"
    return Row(
        metric=metric,
        data=data,
        value=form.format(found.mean()),
        interval=interval,
        n=int(found.size),
    )


def share_row(metric: str, data: str, hits: int, of: int) -> Row:
    """A proportion with its Wilson interval."""
    if of == 0:
        return Row(metric=metric, data=data, value="not measured", n=0)
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * np.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Row(
        metric=metric, data=data, value=f"{share:.3f}", interval=f"{low:.3f} to {high:.3f}", n=of
    )


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    lines = ["| data | metric | value | 95 % interval | n |", "|---|---|---|---|---|"]
    lines += [f"| {r.data} | {r.metric} | {r.value} | {r.interval} | {r.n} |" for r in rows]
    return "\n".join(lines)


def write_into_card(card: Path, text: str, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Replace what stands between the two markers of a card.

    Raises:
        ValueError: the card has no such markers.
    """
    begin, end = marks
    old = card.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(old):
        raise ValueError(f"{card} has no markers {begin} and {end}")
    card.write_text(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", old), encoding="utf-8")
