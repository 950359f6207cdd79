"""A small PACS for the demonstration and the tests: stores what it is sent, answers C-ECHO."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

SUCCESS = 0x0000
CANNOT_UNDERSTAND = 0xC000


class SmallPacs:
    """Keeps each instance as `folder/<study>/<instance>.dcm`; the last one sent wins.

    Attributes:
        answer: returns the C-STORE status for an instance; tests replace it.
        received: SOP Instance UIDs in the order in which they came, repeats included.
    """

    def __init__(self, folder: Path, *, ae_title: str = "PACS", port: int = 0) -> None:
        self.folder = folder
        self.received: list[str] = []
        self.answer: Callable[[str], int] = lambda _uid: SUCCESS
        self._lock = threading.Lock()
        self._entity = AE(ae_title=ae_title)
        self._entity.supported_contexts = AllStoragePresentationContexts
        self._entity.add_supported_context(Verification)
        self._port = port

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    def refuse_class(self, sop_class_uid: str) -> None:
        """Be a PACS that does not know a storage class."""
        self._entity.remove_supported_context(sop_class_uid)

    def start(self) -> None:
        """Listen on this host only."""
        handlers = [(evt.EVT_C_STORE, self._store)]
        self._server = self._entity.start_server(
            ("127.0.0.1", self._port),
            block=False,
            evt_handlers=handlers,  # type: ignore[arg-type]
        )
        assert self._server is not None
        self._port = self._server.server_address[1]

    def stop(self) -> None:
        """Close the port."""
        self._entity.shutdown()

    def files(self) -> list[Path]:
        """Every stored instance."""
        return sorted(self.folder.rglob("*.dcm"))

    def _store(self, event: Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)  # type: ignore[union-attr]
        status = self.answer(uid)
        if status != SUCCESS:
            return status
        data_set = event.dataset
        study_uid = UID(str(data_set.get("StudyInstanceUID", "unknown")))
        if not (UID(uid).is_valid and study_uid.is_valid):
            return CANNOT_UNDERSTAND
        folder = self.folder / study_uid
        folder.mkdir(parents=True, exist_ok=True)
        data_set.file_meta = event.file_meta
        data_set.save_as(folder / f"{uid}.dcm", enforce_file_format=True)
        with self._lock:
            self.received.append(uid)
        return SUCCESS
