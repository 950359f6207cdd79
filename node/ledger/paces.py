"""Rows of how each sender sends; read at start, written when something was learnt."""

from __future__ import annotations

from collections.abc import Mapping

from node.ledger.database import Database

#: (calling AE title, kind of gap) -> bucket -> how often.
Histograms = Mapping[tuple[str, str], Mapping[int, int]]


class Paces:
    """The pace table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> dict[tuple[str, str], dict[int, int]]:
        """Every histogram."""
        found: dict[tuple[str, str], dict[int, int]] = {}
        for row in self._database.rows("SELECT * FROM pace"):
            key = (row["calling_ae_title"], row["kind"])
            found.setdefault(key, {})[int(row["bucket"])] = int(row["n"])
        return found

    def save(self, histograms: Histograms) -> None:
        """Write these histograms in the place of those that are there."""
        if not histograms:
            return
        with self._database.transaction() as db:
            for key, buckets in histograms.items():
                db.execute("DELETE FROM pace WHERE calling_ae_title=? AND kind=?", key)
                db.executemany(
                    "INSERT INTO pace VALUES (?,?,?,?)",
                    [(*key, bucket, n) for bucket, n in buckets.items()],
                )
