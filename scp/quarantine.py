"""Objects that could not be filed, kept with their reason until the space is needed."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from scp.contracts import Received

log = structlog.get_logger(__name__)


class Quarantine:
    """A folder of refused data sets, each beside a JSON file that says why.

    The data set of a refused object is kept as raw bytes (`.bin`): it may not be DICOM at all.
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, received: Received, reason: str) -> Path | None:
        """Keep one refused object, dropping the oldest ones when the space is used up.

        Returns:
            The JSON file, or None when the object was not kept (too large, disk full).
        """
        size = len(received.data_set)
        if size > self._limit_bytes:
            return None
        self._make_room(size)
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"
        told = {
            "reason": reason,
            "received_at": datetime.now(UTC).isoformat(),
            "calling_ae_title": received.calling_ae_title,
            "sop_class_uid": received.sop_class_uid,
            "sop_instance_uid": received.sop_instance_uid,
            "transfer_syntax_uid": received.transfer_syntax_uid,
            "bytes": size,
        }
        try:
            (self.folder / f"{stem}.bin").write_bytes(received.data_set)
            path = self.folder / f"{stem}.json"
            path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            log.warning("quarantine.not_kept", error=type(error).__name__, remedy="check the disk")
            (self.folder / f"{stem}.bin").unlink(missing_ok=True)
            return None
        return path

    def take(self, path: Path, reason: str) -> Path:
        """Move a damaged stored file here; it is never deleted without a trace."""
        target = self.folder / f"{uuid.uuid4().hex[:12]}-{path.name}"
        path.rename(target)
        told = {"reason": reason, "found_at": datetime.now(UTC).isoformat(), "was": path.name}
        target.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        return target

    def _make_room(self, size: int) -> None:
        kept = sorted(self.folder.glob("*.bin"))
        used = sum(path.stat().st_size for path in kept)
        for path in kept:
            if used + size <= self._limit_bytes:
                return
            used -= path.stat().st_size
            with suppress(OSError):
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
