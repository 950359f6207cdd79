"""What the receiver tells the node: into completion, ledger and metrics."""

from __future__ import annotations

import structlog

from node.ledger import Ledger
from node.metrics import Metrics
from node.pipeline.completion import Completion

log = structlog.get_logger(__name__)


class Arrivals:
    """Implements `scp.contracts.ReceiverEvents`; every method is quick."""

    def __init__(self, ledger: Ledger, completion: Completion, metrics: Metrics) -> None:
        self._ledger = ledger
        self._completion = completion
        self._metrics = metrics
