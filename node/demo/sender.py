"""A plain storage SCU: sends every file of a folder, as a scanner would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from node.domain.errors import DeliveryError
from node.pipeline.checkpoint import answered_to_us

#: Presentation contexts of one association are odd numbers up to 255, PS3.8 9.3.2.2.
MAX_CONTEXTS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where to send."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str = "DEMO"


@dataclass(slots=True)
class Sent:
    """What became of a folder.

    Attributes:
        studies: Study Instance UIDs of acknowledged instances.
        acknowledged: their SOP Instance UIDs.
        problems: files that could not be sent or were refused, in words.
    """

    studies: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def send_folder(folder: Path, receiver: Receiver) -> Sent:
    """Send all DICOM files below a folder over as few associations as possible.

    Raises:
        DeliveryError: the receiver does not accept the association.
    """
    sent = Sent()
    files = list(_headers(folder, sent))
    for part in _parts(files):
        association = _associate(part, receiver)
        try:
            for path, _ in part:
                _send(association, path, sent)
        finally:
            association.release()
    return sent


def _headers(folder: Path, sent: Sent) -> Iterator[tuple[Path, tuple[str, str]]]:
    """Each DICOM file with its SOP class and transfer syntax."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name == "DICOMDIR":
            continue
        try:
            header: FileDataset = dcmread(path, stop_before_pixels=True)
            yield path, (str(header.SOPClassUID), str(header.file_meta.TransferSyntaxUID))
        except (InvalidDicomError, AttributeError, OSError, ValueError) as error:
            sent.problems.append(f"{path.name}: not sent ({type(error).__name__})")


def _parts(
    files: Sequence[tuple[Path, tuple[str, str]]],
) -> Iterator[list[tuple[Path, tuple[str, str]]]]:
    """Pieces whose kinds of objects fit into one association."""
    part: list[tuple[Path, tuple[str, str]]] = []
    for item in files:
        if len({kind for _, kind in part} | {item[1]}) > MAX_CONTEXTS:
            yield part
            part = []
        part.append(item)
    if part:
        yield part


def _associate(part: Sequence[tuple[Path, tuple[str, str]]], receiver: Receiver) -> Association:
    entity = AE(ae_title=receiver.calling_ae_title)
    kinds = sorted({kind for _, kind in part})
    entity.requested_contexts = [build_context(class_uid, syntax) for class_uid, syntax in kinds]
    association = entity.associate(receiver.host, receiver.port, ae_title=receiver.ae_title)
    if not association.is_established:
        raise DeliveryError(
            f"{receiver.ae_title} at {receiver.host}:{receiver.port} did not accept the association"
        )
    answered_to_us(association)
    return association


def _send(association: Association, path: Path, sent: Sent) -> None:
    try:
        data_set = dcmread(path)
        status = getattr(association.send_c_store(data_set), "Status", None)
    except (ValueError, RuntimeError, AttributeError, TypeError) as error:
        sent.problems.append(f"{path.name}: not sent ({type(error).__name__})")
        return
    if status != 0:
        told = "no answer" if status is None else f"status 0x{status:04X}"
        sent.problems.append(f"{path.name}: {told}")
        return
    sent.acknowledged.add(str(data_set.SOPInstanceUID))
    sent.studies.add(str(data_set.get("StudyInstanceUID", "")))
