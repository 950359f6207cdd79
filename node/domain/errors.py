"""The whole exception tree.

NodeError
  ConfigError        appliance.yaml or a model manifest cannot be used
  ReceiveError       an instance or association could not be accepted
    OutOfResources     the store is above its watermark or the disk failed (0xA700)
    CannotUnderstand   the data set cannot be read far enough to file it (0xC000)
    InvalidInstance    its SOP Instance UID breaks the rules for UIDs (0x0117)
    ClassMismatch      the data set does not match its SOP class or command (0xA900)
    NoticeRefused      an announcement (MPPS, instance availability) cannot be taken
  SeriesError        a series cannot be described (its headers contradict each other)
  VolumeError        a series cannot become a volume (geometry, units): not eligible
    PixelDataError     its pixel data are missing, cut off or cannot be decoded: failed
  ModelError         a network or a model package failed
    GoldenMismatch     a package no longer reproduces its golden case
    ImportRefused      a foreign model cannot become a package
  WorkerError        a worker process died, hung or passed its memory limit
  DocumentError      a structured report that was sent here cannot be read
  ResultError        a result object is not valid and was not sent
    OtherDocument      a document that is read back is no measurement report (TID 1500)
  DeliveryError      a destination could not be reached or refused an object
  LedgerError        the ledger is missing, locked or of another version

Every message says what, where and what to do. UIDs travel as attributes; names of
patients never do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


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

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled with its attributes and without its constructor: errors leave workers so."""
        return _revive, (type(self), self.args), self.__dict__


def _revive(kind: type[NodeError], arguments: tuple[object, ...]) -> NodeError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFault:
    """One thing wrong in a configuration file.

    Attributes:
        file: as the operator named it. line, column: 1-based; (1, 1) for the whole file.
        key: dotted path, e.g. "destinations.pacs.port"; "" for the whole file.
        got: what stands there, already quoted and with secrets left out; "" if nothing.
        remedy: what to write instead, a sentence.
    """

    file: str
    line: int
    column: int
    key: str
    why: str
    got: str
    remedy: str

    def __str__(self) -> str:
        """`file:line:column: key: why (got value) - remedy`."""
        key = f"{self.key}: " if self.key else ""
        got = f" (got {self.got})" if self.got else ""
        return f"{self.file}:{self.line}:{self.column}: {key}{self.why}{got} - {self.remedy}"


class ConfigError(NodeError):
    """The configuration or a model manifest cannot be used; one line per fault.

    Attributes:
        faults: every fault, sorted by position; empty where the message says it all.
    """

    def __init__(self, message: str = "", *, faults: Iterable[ConfigFault] = ()) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line, fault.column)))
        super().__init__(message or "\n".join(map(str, self.faults)))


class ReceiveError(NodeError):
    """An instance or association could not be accepted."""

    #: C-STORE status to answer with, PS3.4 table B.2-1 and PS3.7 annex C.
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


class InvalidInstance(CannotUnderstand):
    """The SOP Instance UID breaks the rules for UIDs: invalid object instance, PS3.7 annex C."""

    status = 0x0117


class NoticeRefused(ReceiveError):
    """An announcement of a modality or an archive cannot be taken.

    Attributes:
        status: of the N-CREATE or N-SET response (PS3.7 annex C).
        error_id: Error ID (0000,0903), None where there is none.
    """

    def __init__(self, message: str, status: int, error_id: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_id = error_id


class SeriesError(NodeError):
    """The headers of a series contradict each other so far that it cannot be described."""


class VolumeError(NodeError):
    """A series cannot become a volume: its geometry or its units do not allow it.

    The message is shown to a radiologist as the reason for "not eligible".
    """


class PixelDataError(VolumeError):
    """The pixel data of a series are missing, cut off or cannot be decoded: a failure."""


class ModelError(NodeError):
    """A network or a model package failed.

    Attributes:
        provider: label of what ran it ("tensorrt/fp16"), where that may be at fault, or "".
        package: whose code or network failed, where another one was asked; or "".
    """

    provider: str = ""
    package: str = ""


class GoldenMismatch(ModelError):
    """A package no longer reproduces its golden case within its stated tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFault:
    """One thing that stands against the import of a foreign model.

    Attributes:
        where: file and key path, e.g. "configs/inference.json: preprocessing#transforms#3".
        why: what stands there and why it cannot be taken. remedy: what to do, a sentence.
    """

    where: str
    why: str
    remedy: str

    def __str__(self) -> str:
        """`where: why - remedy`."""
        return f"{self.where}: {self.why} - {self.remedy}"


class ImportRefused(ModelError):
    """A foreign model cannot become a package; one line for each thing that stands against it.

    Attributes:
        faults: all of them, in the order in which they were met.
    """

    def __init__(self, *, faults: Iterable[ImportFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))

    @classmethod
    def once(cls, where: str, why: str, remedy: str) -> ImportRefused:
        """A single fault."""
        return cls(faults=(ImportFault(where=where, why=why, remedy=remedy),))


class WorkerError(NodeError):
    """A worker process died, hung, or passed its memory limit."""


class DocumentError(NodeError):
    """A structured report that was sent here, or one of ours on the disk, cannot be read."""


class ResultError(NodeError):
    """A result object is not valid and was not sent."""


class OtherDocument(ResultError):
    """A document that is read back is no measurement report (TID 1500)."""


class DeliveryError(NodeError):
    """A destination could not be reached, or refused an object."""


class LedgerError(NodeError):
    """The ledger is missing, locked, or of another version."""
