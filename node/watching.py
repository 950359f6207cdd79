"""What the receiver tells the node: into completion, ledger and metrics."""

from __future__ import annotations

import structlog

log = structlog.get_logger(__name__)
