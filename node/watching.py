"""What the receiver tells the node: into completion, ledger and metrics."""

from __future__ import annotations

import structlog

from node.domain.study import Instance, StudyUID
from node.ledger import Ledger
from node.metrics import Metrics
from node.pipeline.completion import Completion

log = structlog.get_logger(__name__)
