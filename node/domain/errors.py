"""The whole exception tree.

NodeError
  ConfigError        appliance.yaml or a model manifest cannot be used
  ReceiveError       an instance or association could not be accepted
    OutOfResources     the store is above its watermark or the disk failed (0xA700)
    CannotUnderstand   the data set cannot be read far enough to file it (0xC000)
    ClassMismatch      the data set does not match its SOP class or command (0xA900)
  SeriesError        a series cannot be described (its headers contradict each other)
  VolumeError        a series cannot become a volume (geometry, decoding, units)
  ModelError         a network or a model package failed
    GoldenMismatch     a package no longer reproduces its golden case
  WorkerError        a worker process died, hung or passed its memory limit
  ResultError        a result object is not valid and was not sent
  DeliveryError      a destination could not be reached or refused an object
  LedgerError        the ledger is missing, locked or of another version

Every message says what, where and what to do. UIDs travel as attributes; names of
patients never do.
"""

from __future__ import annotations


class NodeError(Exception):
    """Base of every error that Vigie raises on purpose.

    Attributes:
        study_uid: Study Instance UID the error belongs to, when known.
        series_uid: Series Instance UID, when known.
        instance_uid: SOP Instance UID, when known.
    """

    def __init__(
        self,
        message: str,
        *,
        study_uid: str | None = None,
        series_uid: str | None = None,
        instance_uid: str | None = None,
    ) -> None:
        super().__init__(message)
        self.study_uid = study_uid
        self.series_uid = series_uid
        self.instance_uid = instance_uid


class ConfigError(NodeError):
    """The configuration or a model manifest cannot be used; one line per fault."""


class ReceiveError(NodeError):
    """An instance or association could not be accepted."""

    #: C-STORE status to answer with, PS3.4 table B.2-1.
    status: int = 0xC000


class OutOfResources(ReceiveError):
    """The store is above its watermark, or the disk failed: refused, out of resources."""

    status = 0xA700


class ClassMismatch(ReceiveError):
    """The data set does not match the SOP class or instance of its C-STORE command."""

    status = 0xA900


class CannotUnderstand(ReceiveError):
    """The data set cannot be read far enough to be filed."""

    status = 0xC000


class SeriesError(NodeError):
    """The headers of a series contradict each other so far that it cannot be described."""


class VolumeError(NodeError):
    """A series cannot become a volume: geometry, pixel decoding or units."""


class ModelError(NodeError):
    """A network or a model package failed."""


class GoldenMismatch(ModelError):
    """A package no longer reproduces its golden case within its stated tolerance."""


class WorkerError(NodeError):
    """A worker process died, hung, or passed its memory limit."""


class ResultError(NodeError):
    """A result object is not valid and was not sent."""


class DeliveryError(NodeError):
    """A destination could not be reached, or refused an object."""


class LedgerError(NodeError):
    """The ledger is missing, locked, or of another version."""
