"""Bytes as sent onto the disk, durable and indexed, before anybody is told Success.

One Part 10 file an instance, its name derived from digests (a UID never becomes a path):
`instances/<study>/<instance>-<content>.dcm`. The same bytes always get the same name, so that a
repeated or a simultaneous store of one instance writes one file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from node.domain.errors import CannotUnderstand, LedgerError, OutOfResources, ReceiveError
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)
from scp.contracts import InstanceIndex, Received, Stored
from scp.identity import Identity, identify
from scp.quarantine import Quarantine

log = structlog.get_logger(__name__)

#: Root of Vigie's implementation, PS3.7 D.3.3.2; a UUID-derived UID, PS3.5 B.2.
IMPLEMENTATION_CLASS_UID = UID("2.25.190146283706215733063811563018367284737")
IMPLEMENTATION_VERSION = "VIGIE"
PREAMBLE = b"\0" * 128 + b"DICM"
#: What reading back a file raises whose bytes are not those that were written.
_DAMAGED = (
    ReceiveError,
    InvalidDicomError,
    OSError,
    EOFError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    NotImplementedError,
    struct.error,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """When to refuse instead of running into a full disk."""

    refuse_above_percent: float
    keep_free_bytes: int


class InstanceStore:
    """The files of received instances. Thread-safe: every association stores by itself."""

    def __init__(
        self,
        root: Path,
        index: InstanceIndex,
        watermark: Watermark,
        *,
        quarantine_bytes: int = 1 << 30,
    ) -> None:
        self._index = index
        self._watermark = watermark
        self._instances = root / "instances"
        self._incoming = root / "incoming"
        self._instances.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(parents=True, exist_ok=True)
        self.quarantine = Quarantine(root / "quarantine", limit_bytes=quarantine_bytes)
        self._lock = threading.Lock()
        self._in_flight_bytes = 0
        _sync(root)

    def refusal(self) -> str:
        """Why a new instance would be refused now; "" when there is room."""
        return self._room_for(0)

    def store(self, received: Received) -> Stored:
        """Make one instance durable and index it; only then may Success be answered.

        Raises:
            CannotUnderstand, ClassMismatch: as `scp.identity.identify`; the object lies in
                quarantine with its reason.
            OutOfResources: above the watermark, or the disk or the index did not take it;
                nothing of it is left behind.
        """
        size = len(received.data_set)
        with self._reserved(size):
            try:
                identity = identify(received)
            except ReceiveError as error:
                self.quarantine.keep(received, str(error))
                raise
            instance = self._instance(received, identity)
            try:
                if not self._is_present(instance):
                    self._write(instance, received)
                return Stored(instance, self._index.record(instance))
            except OSError as error:
                raise OutOfResources(
                    f"the disk did not take the instance ({error.strerror}); check the store"
                ) from error
            except LedgerError as error:
                raise OutOfResources(f"the index did not take the instance: {error}") from error

    def scan(self, known: frozenset[str] = frozenset()) -> Iterator[Instance]:
        """Every stored file that the caller does not know, read back from the disk.

        A file whose bytes do not match the digest in its name goes to quarantine. Left-over
        incoming files were never acknowledged and are removed.

        Args:
            known: names of files that are indexed already.
        """
        for path in self._incoming.iterdir():
            path.unlink(missing_ok=True)
        for path in sorted(self._instances.glob("*/*.dcm")):
            if path.name in known:
                continue
            try:
                instance = self._read_back(path)
            except _DAMAGED as error:
                reason = f"found damaged at start ({type(error).__name__})"
                self.quarantine.take(path, reason)
                log.error("instance.damaged", file=path.name, remedy="send the study again")
                continue
            yield instance

    def verify(self, instance: Instance) -> bool:
        """Are the bytes on disk still those that were acknowledged?"""
        try:
            return self._read_back(instance.path).digest == instance.digest
        except _DAMAGED:
            return False

    def _instance(self, received: Received, identity: Identity) -> Instance:
        digest = hashlib.sha256(received.data_set)
        digest.update(received.transfer_syntax_uid.encode("ascii", "replace"))
        content = digest.hexdigest()
        folder = self._instances / _short(identity.study_uid)
        return Instance(
            sop_instance_uid=InstanceUID(identity.sop_instance_uid),
            sop_class_uid=ClassUID(identity.sop_class_uid),
            study_uid=StudyUID(identity.study_uid),
            series_uid=SeriesUID(identity.series_uid),
            transfer_syntax_uid=TransferSyntaxUID(received.transfer_syntax_uid),
            path=folder / f"{_short(identity.sop_instance_uid)}-{content[:32]}.dcm",
            digest=content,
            size_bytes=len(received.data_set),
            calling_ae_title=received.calling_ae_title,
            received_at=datetime.now(UTC),
        )

    def _is_present(self, instance: Instance) -> bool:
        """Do these very bytes lie on the disk already, durably? A damaged file is replaced."""
        if not instance.path.exists() or not self.verify(instance):
            return False
        # Another association may have renamed it into place and not yet synchronised the folder.
        _sync(instance.path.parent)
        return True

    def _write(self, instance: Instance, received: Received) -> None:
        draft = self._incoming / f"{uuid.uuid4().hex}.part"
        try:
            with draft.open("wb") as stream:
                stream.write(PREAMBLE)
                stream.write(_meta(instance))
                stream.write(received.data_set)
                stream.flush()
                os.fsync(stream.fileno())
            if not instance.path.parent.is_dir():
                instance.path.parent.mkdir(exist_ok=True)
                _sync(self._instances)
            draft.rename(instance.path)
            _sync(instance.path.parent)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _read_back(self, path: Path) -> Instance:
        meta = read_file_meta_info(path)
        raw = path.read_bytes()
        start = len(PREAMBLE) + 12 + int(meta.FileMetaInformationGroupLength)
        received = Received(
            sop_class_uid=str(meta.get("MediaStorageSOPClassUID", "") or ""),
            sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
            data_set=memoryview(raw)[start:],
            calling_ae_title=str(meta.get("SourceApplicationEntityTitle", "") or ""),
        )
        instance = self._instance(received, identify(received))
        if instance.path.name != path.name:
            raise CannotUnderstand("the bytes do not match the digest in the file's name")
        return instance

    @contextmanager
    def _reserved(self, size: int) -> Iterator[None]:
        """Keep space for what is in flight, so that the last one does not hit the wall."""
        with self._lock:
            refusal = self._room_for(size)
            if refusal:
                raise OutOfResources(refusal)
            self._in_flight_bytes += size
        try:
            yield
        finally:
            with self._lock:
                self._in_flight_bytes -= size

    def _room_for(self, size: int) -> str:
        usage = shutil.disk_usage(self._instances)
        free = usage.free - self._in_flight_bytes - size
        used_percent = 100.0 * (1.0 - free / usage.total)
        if used_percent > self._watermark.refuse_above_percent:
            return (
                f"the disk of the store is {used_percent:.0f} % full, the watermark is "
                f"{self._watermark.refuse_above_percent:.0f} %; free space, or raise "
                "storage.refuse_above_percent"
            )
        if free < self._watermark.keep_free_bytes:
            return (
                f"{free / 1e9:.1f} GB are free on the disk of the store, "
                f"{self._watermark.keep_free_bytes / 1e9:.1f} GB are to stay free; "
                "free space, or lower storage.keep_free_gb"
            )
        return ""


def _meta(instance: Instance) -> bytes:
    """Group 2 elements with their group length, PS3.10 7.1."""
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0  # corrected when written
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(instance.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(instance.sop_instance_uid)
    meta.TransferSyntaxUID = UID(instance.transfer_syntax_uid)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    if instance.calling_ae_title:
        meta.SourceApplicationEntityTitle = instance.calling_ae_title
    stream = DicomBytesIO()
    write_file_meta_info(stream, meta, enforce_standard=False)
    return stream.getvalue()


def _short(uid: str) -> str:
    return hashlib.sha256(uid.encode("ascii", "replace")).hexdigest()[:32]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
