"""Structured logging: events with UIDs, in JSON for machines or in lines for people."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from config.schema import Logs

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logging(settings: Logs, stream: TextIO | None = None) -> None:
    """Send every event of this process to standard error or to the configured file.

    Libraries are kept at ERROR: pynetdicom and pydicom write attribute values, and with them
    names of patients, into their warnings.
    """
    if stream is None:
        stream = settings.file.open("a", encoding="utf-8") if settings.file else sys.stderr
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=stream, level=logging.ERROR, force=True)
    for name in ("pydicom", "pynetdicom", "highdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.CRITICAL)
