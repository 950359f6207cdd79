"""Objects that could not be filed, kept with their reason until the space is needed."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from node.domain.extent import Extent
from scp.contracts import Received

log = structlog.get_logger(__name__)


class Quarantine:
    """A folder of refused data sets, each beside a JSON file that says why. Thread-safe.

    A refused data set is kept as raw bytes (`.bin`): it may not be DICOM at all. One that was
    stored and found damaged is kept as its Part 10 stream (`.dcm`).
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        # Oldest first: their names begin with the time.
        self._kept = {
            path: path.stat().st_size
            for path in sorted(folder.iterdir())
            if path.suffix in (".bin", ".dcm")
        }

    def keep(self, received: Received, reason: str) -> Path | None:
        """Keep one refused object, dropping the oldest ones when the space is used up.

        Returns:
            The JSON file, or None when the object was not kept (too large, disk full).
        """
        told = {
            "calling_ae_title": received.calling_ae_title,
            "sop_class_uid": received.sop_class_uid,
            "sop_instance_uid": received.sop_instance_uid,
            "transfer_syntax_uid": received.transfer_syntax_uid,
        }
        return self._keep(received.data_set, ".bin", reason, told)

    def keep_extent(self, extent: Extent, reason: str) -> Path | None:
        """Keep a copy of a damaged stored instance; returns as `keep`."""
        try:
            with extent.map() as mapped, memoryview(mapped) as content:
                return self._keep(content, ".dcm", reason, {"was": extent.path.name})
        except OSError as error:
            self._not_kept(error)
            return None

    def _keep(
        self, content: bytes | memoryview, suffix: str, reason: str, told: dict[str, str]
    ) -> Path | None:
        size = len(content)
        if size > self._limit_bytes:
            return None
        now = datetime.now(UTC)
        path = self.folder / f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}{suffix}"
        note = {"reason": reason, "kept_at": now.isoformat(), "bytes": size, **told}
        with self._lock:
            self._make_room(size)
            try:
                path.write_bytes(content)
                path.with_suffix(".json").write_text(
                    json.dumps(note, indent=1) + "\n", encoding="utf-8"
                )
            except OSError as error:
                self._not_kept(error)
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                return None
            self._kept[path] = size
        return path.with_suffix(".json")

    def _make_room(self, size: int) -> None:
        used = sum(self._kept.values())
        for path in list(self._kept):
            if used + size <= self._limit_bytes:
                return
            used -= self._kept.pop(path)
            with suppress(OSError):
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)

    @staticmethod
    def _not_kept(error: OSError) -> None:
        log.warning("quarantine.not_kept", error=type(error).__name__, remedy="check the disk")
