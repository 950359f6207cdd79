"""The SQLite connection behind the ledger: WAL, full synchronisation, one writer at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.domain.errors import LedgerError
from node.ledger.schema import MIGRATIONS, SCHEMA_VERSION, TABLES


class Database:
    """One connection shared by the threads of the node.

    A transaction is durable when its `with` block ends: `synchronous=FULL` makes SQLite
    fsync the write-ahead log at each commit, so an acknowledged row survives a power cut.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create the ledger.

        Raises:
            LedgerError: the file is missing (read_only), is not a ledger, or was written by
                a newer version of Vigie.
        """
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        if read_only and not path.exists():
            raise LedgerError(f"no ledger at {path}: has `serve` ever run with this storage path?")
        try:
            uri = f"file:{path}?mode=ro" if read_only else f"file:{path}?mode=rwc"
            self._connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30.0
            )
            self._connection.row_factory = sqlite3.Row
            if not read_only:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.executescript(TABLES)
                self._migrate()
            self._check_version()
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"the ledger {path} cannot be opened ({error}); keep the file, nothing is deleted "
                "without it: restore it from a backup, or move it away to rebuild the index "
                "from the stored instances"
            ) from error

    def _migrate(self) -> None:
        """Bring a new ledger, or one of an earlier version, to the present tables."""
        found = self._version()
        if found is not None and found not in range(min(MIGRATIONS) - 1, SCHEMA_VERSION):
            return
        for version in sorted(MIGRATIONS):
            if found is None or version > found:
                self._connection.executescript(MIGRATIONS[version])
        self._connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('version', ?)", (str(SCHEMA_VERSION),)
        )

    def _version(self) -> int | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key='version'").fetchone()
        return None if row is None else int(row["value"])

    def _check_version(self) -> None:
        found = self._version()
        if found != SCHEMA_VERSION:
            raise LedgerError(
                f"the ledger {self.path} has version {'none' if found is None else found}, this "
                f"Vigie reads version {SCHEMA_VERSION}; run the Vigie that wrote it, or `serve` of "
                "this one, which brings an older ledger up to date"
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is written together, durably, or not at all. Re-entrant."""
        with self._lock:
            if self._depth:
                yield self._connection
                return
            self._depth = 1
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.Error):
                    raise LedgerError(
                        f"the ledger {self.path} cannot be written ({error}); check the disk"
                    ) from error
                raise
            finally:
                self._depth = 0

    def _roll_back(self) -> None:
        # A commit that failed on a full disk has already rolled back by itself.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """All rows of a query; raises LedgerError when the file cannot be read."""
        with self._lock:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise LedgerError(
                    f"the ledger {self.path} cannot be read ({error}); check the disk"
                ) from error

    def row(self, sql: str, parameters: tuple[object, ...] = ()) -> sqlite3.Row | None:
        """First row of a query, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the main file (at a clean stop)."""
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
