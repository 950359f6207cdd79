"""A sender that remembers what was acknowledged, and sends the rest again, as a PACS does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.presentation import build_context

from node.pipeline.checkpoint import answered_to_us


@dataclass(slots=True)
class Sender:
    """One modality with a queue of files.

    Attributes:
        acknowledged: SOP Instance UID -> bytes of its data set, for what got Success.
    """

    host: str
    port: int
    pending: list[Path]
    acknowledged: dict[str, Path] = field(default_factory=dict)

    def push(self) -> bool:
        """Send what is pending over one association; True when nothing is left."""
        if not self.pending:
            return True
        entity = AE(ae_title="SOAK")
        entity.connection_timeout = 2
        entity.acse_timeout = 5
        entity.dimse_timeout = 20
        entity.network_timeout = 20
        kinds = {_kind(path) for path in self.pending}
        entity.requested_contexts = [build_context(uid, syntax) for uid, syntax in sorted(kinds)]
        association = entity.associate(self.host, self.port, ae_title="VIGIE")
        if not association.is_established:
            return False
        answered_to_us(association)
        try:
            for path in list(self.pending):
                if not self._send(association, path):
                    return False
        finally:
            if association.is_established:
                association.release()
        return not self.pending

    def _send(self, association: object, path: Path) -> bool:
        try:
            response: Dataset = association.send_c_store(dcmread(path))  # type: ignore[attr-defined]
        except (RuntimeError, ValueError, AttributeError):
            return False
        if getattr(response, "Status", None) != 0:
            return False
        header = dcmread(path, stop_before_pixels=True)
        self.acknowledged[str(header.SOPInstanceUID)] = path
        self.pending.remove(path)
        return True


def _kind(path: Path) -> tuple[str, str]:
    header = dcmread(path, stop_before_pixels=True)
    return str(header.SOPClassUID), str(header.file_meta.TransferSyntaxUID)
