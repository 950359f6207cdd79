"""What the receiver tells the node: into completion, ledger and metrics."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from node.domain.feedback import READER_DOCUMENTS
from node.domain.study import Filing, Instance
from node.ledger import Ledger
from node.ledger.states import StudyState
from node.metrics import Metrics
from node.pipeline.completion import Completion
from scp.contracts import Stored

log = structlog.get_logger(__name__)


class Arrivals:
    """Implements `scp.contracts.ReceiverEvents`; every method is quick."""

    def __init__(self, ledger: Ledger, completion: Completion, metrics: Metrics) -> None:
        #: Told of each instance that is new.
        self.on_new: Callable[[Instance], None] = lambda _instance: None
        self._ledger = ledger
        self._completion = completion
        self._metrics = metrics

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        """Count it."""
        self._metrics.associations.labels("accepted").inc()
        self._metrics.associations_open.inc()
        log.info(
            "association.opened",
            association=association_id,
            calling_ae_title=calling_ae_title,
            address=address,
        )

    def association_rejected(self, calling_ae_title: str, address: str, reason: str) -> None:
        """Say who was turned away and which line of the configuration did it."""
        self._metrics.associations.labels("rejected").inc()
        log.warning(
            "association.rejected",
            calling_ae_title=calling_ae_title,
            address=address,
            reason=reason,
        )

    def instance_stored(self, association_id: str, stored: Stored) -> None:
        """A study grows; a duplicate changes nothing but shows that its sender is at work."""
        instance, filing = stored.instance, stored.filing
        self._metrics.instances.labels(filing.value).inc()
        self._metrics.bytes.inc(instance.size_bytes)
        if (filing is not Filing.DUPLICATE and self._grows(instance)) or (
            self._completion.is_receiving(instance.study_uid)
        ):
            self._completion.arrived(instance.study_uid, association_id, instance.calling_ae_title)
        if filing is Filing.NEW:
            self.on_new(instance)
        if filing is Filing.CONFLICT:
            log.info(
                "instance.conflict",
                association=association_id,
                study_uid=instance.study_uid,
                sop_instance_uid=instance.sop_instance_uid,
            )

    def _grows(self, instance: Instance) -> bool:
        """Does it belong to what is analysed? A structured report only while a study comes."""
        if instance.sop_class_uid not in READER_DOCUMENTS:
            return True
        study = self._ledger.studies.get(instance.study_uid)
        return study is not None and study.state is StudyState.RECEIVING

    def instance_refused(self, association_id: str, status: int, reason: str) -> None:
        """Say why; the sender only sees the status."""
        self._metrics.instances.labels("refused").inc()
        log.warning(
            "instance.refused", association=association_id, status=f"0x{status:04X}", reason=reason
        )

    def association_closed(self, association_id: str, *, clean: bool) -> None:
        """An association that broke off makes its studies wait longer."""
        self._metrics.associations_open.dec()
        self._metrics.associations.labels("released" if clean else "aborted").inc()
        for study_uid in self._completion.association_ended(association_id, clean=clean):
            if not clean:
                self._ledger.studies.interrupt(study_uid, f"association {association_id}")
            elif not self._completion.is_interrupted(study_uid):
                self._ledger.studies.calm(study_uid)
        log.info("association.closed", association=association_id, clean=clean)
