"""A PACS that can be as difficult as the real ones, made with pynetdicom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.events import Event

from node.pipeline.checkpoint import answered_to_us

VERIFICATION = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PUSH = UID("1.2.840.10008.1.20.1")
PUSH_INSTANCE = UID("1.2.840.10008.1.20.1.1")


class HostilePacs:
    """Stores, commits and answers queries; each of these can be spoilt.

    Attributes:
        answer: C-STORE status of an instance.
        forgets: accepted instances that it does not keep.
        slow_s: how long it thinks about each C-STORE.
        commits: "same" or "other" association, or "never".
        report_to: (host, port, AE title) of the receiver, for reports on another association.
        received: SOP Instance UIDs as they came; syntaxes: transfer syntax of each.
        kept: the data sets that it holds.
    """

    def __init__(
        self,
        *,
        refuse: tuple[str, ...] = (),
        find: bool = True,
        commits: str = "",
        syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        port: int = 0,
    ) -> None:
        self.answer: Callable[[str], int] = lambda _uid: 0x0000
        self.forgets: Callable[[str], bool] = lambda _uid: False
        self.find_status = 0x0000
        self.action_status = 0x0000
        self.slow_s = 0.0
        self.commits = commits
        self.report_to: tuple[str, int, str] | None = None
        self.received: list[str] = []
        self.syntaxes: list[str] = []
        self.kept: dict[str, Dataset] = {}
        self.asked: list[Dataset] = []
        self.report_statuses: list[int | None] = []
        self.associations = 0
        self._aborting = False
        self._port = port
        self._entity = AE(ae_title="PACS")
        self._entity.maximum_associations = 50
        for context in AllStoragePresentationContexts:
            if context.abstract_syntax not in refuse:
                self._entity.add_supported_context(context.abstract_syntax, list(syntaxes))
        self._entity.add_supported_context(VERIFICATION)
        if find:
            self._entity.add_supported_context(FIND)
        if commits:
            self._entity.add_supported_context(PUSH)

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> HostilePacs:
        handlers: list[Any] = [
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_ACTION, self._action),
        ]
        server = self._entity.start_server(
            ("127.0.0.1", self._port), block=False, evt_handlers=handlers
        )
        assert server is not None
        self._port = server.server_address[1]
        return self

    def stop(self) -> None:
        self._entity.shutdown()

    def report_late(self) -> list[int | None]:
        """Send every outstanding report on associations of its own; the statuses answered."""
        asked, self.asked = self.asked, []
        for request in asked:
            self._report_elsewhere(request)
        return self.report_statuses

    def _accepted(self, _event: Event) -> None:
        self.associations += 1

    def _store(self, event: Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        time.sleep(self.slow_s)
        status = self.answer(uid)
        if status < 0:
            event.assoc.abort()
            return 0x0110
        if status == 0x0000:
            self.received.append(uid)
            self.syntaxes.append(str(event.context.transfer_syntax))
            if not self.forgets(uid):
                self.kept[uid] = event.dataset
        return status

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        if self.find_status < 0:
            event.assoc.abort()
            return
        if self.find_status:
            yield self.find_status, None
            return
        wanted = event.identifier
        if str(wanted.SOPInstanceUID) in self.kept:
            found = Dataset()
            found.QueryRetrieveLevel = "IMAGE"
            found.SOPInstanceUID = wanted.SOPInstanceUID
            yield 0xFF00, found

    def _action(self, event: Event) -> tuple[int, None]:
        if self.action_status < 0:
            event.assoc.abort()
            return 0x0110, None
        if self.action_status:
            return self.action_status, None
        request = event.action_information
        if self.commits == "same":
            association = event.assoc

            def report() -> None:
                time.sleep(0.1)
                association.send_n_event_report(
                    self._report(request), self._type(request), PUSH, PUSH_INSTANCE
                )

            threading.Thread(target=report, daemon=True).start()
        else:
            self.asked.append(request)
        return 0x0000, None

    def _type(self, request: Dataset) -> int:
        kept = [str(i.ReferencedSOPInstanceUID) in self.kept for i in request.ReferencedSOPSequence]
        return 1 if all(kept) else 2

    def _report(self, request: Dataset) -> Dataset:
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        good, bad = [], []
        for item in request.ReferencedSOPSequence:
            if str(item.ReferencedSOPInstanceUID) in self.kept:
                good.append(item)
            else:
                item.FailureReason = 0x0112
                bad.append(item)
        if good:
            report.ReferencedSOPSequence = good
        if bad:
            report.FailedSOPSequence = bad
        return report

    def _report_elsewhere(self, request: Dataset) -> None:
        assert self.report_to is not None
        host, port, called = self.report_to
        entity = AE(ae_title="PACS")
        entity.add_requested_context(PUSH)
        association = entity.associate(
            host, port, ae_title=called, ext_neg=[build_role(PUSH, scp_role=True)]
        )
        assert association.is_established, "the report was turned away"
        answered_to_us(association)
        try:
            response, _ = association.send_n_event_report(
                self._report(request), self._type(request), PUSH, PUSH_INSTANCE
            )
            self.report_statuses.append(getattr(response, "Status", None))
        finally:
            association.release()
