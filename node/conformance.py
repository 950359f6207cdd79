"""The DICOM Conformance Statement (PS3.2), written from the tables that negotiate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydicom.uid import UID, KeyObjectSelectionDocumentStorage

from config.schema import Appliance, DicomDestination
from node.pipeline.dimse import SENT_CLASSES, STUDY_ROOT_FIND, UNCOMPRESSED
from node.version import VERSION
from scp.classes import STORAGE_CLASSES, TRANSFER_SYNTAXES, VERIFICATION
from scp.commitment import PUSH_MODEL
from scp.notices import INSTANCE_AVAILABILITY, PERFORMED_PROCEDURE_STEP
from scp.record import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

STATUSES = (
    ("0000", "Success", "the bytes are on the disk (fdatasync)"),
    ("A700", "Refused: out of resources", "disk above the watermark, disk or index failed"),
    ("A900", "Error: data set does not match SOP class", "UIDs differ from the command set"),
    ("0117", "Error: invalid object instance", "the SOP Instance UID is no UID (PS3.5 9.1)"),
    ("C000", "Error: cannot understand", "the data set cannot be filed; kept in quarantine"),
)
NOTICE_STATUSES = (
    ("0000", "Success", "kept, durable"),
    ("0106", "Invalid attribute value", "status or UID is none, or the data set is unreadable"),
    ("0110", "Processing failure", "the step has ended (Error ID A506), or the ledger failed"),
    ("0111", "Duplicate SOP instance", "the step exists already"),
    ("0112", "No such SOP instance", "N-SET of a step that was never created"),
    ("0120", "Missing attribute", "no study or instance is named"),
)


def statement(appliance: Appliance) -> str:
    """The statement as Markdown, for this configuration."""
    return "\n".join(_lines(appliance)) + "\n"


def _lines(appliance: Appliance) -> Iterator[str]:
    receiver, limits = appliance.receiver, appliance.receiver.limits
    called = "any" if receiver.any_called_ae_title else ", ".join(appliance.called_ae_titles)
    yield f"# DICOM Conformance Statement: Vigie {VERSION}"
    yield ""
    yield f"Implementation Class UID {IMPLEMENTATION_CLASS_UID}, version {IMPLEMENTATION_VERSION}."
    yield "Extended negotiation, asynchronous operations and TLS are not supported."
    yield ""
    yield "## Storage and verification as SCP"
    yield ""
    yield f"Called AE titles: {called}. Port {receiver.port}. Largest PDU {limits.max_pdu_bytes}."
    yield (
        f"At most {limits.max_associations} associations at the same time, "
        f"{limits.max_associations_per_peer} from one address. "
        "Calling AE titles and addresses are denied unless configured."
    )
    yield ""
    yield from _table(("Status", "Meaning", "When"), STATUSES)
    yield ""
    yield "SOP classes:"
    yield ""
    classes = sorted(STORAGE_CLASSES | {VERIFICATION} | set(receiver.private_sop_classes))
    yield from _table(("SOP class", "UID"), ((UID(uid).name, uid) for uid in classes))
    yield ""
    yield "Each in any of these transfer syntaxes, kept as sent (Explicit VR Little Endian first):"
    yield ""
    yield from _table(
        ("Transfer syntax", "UID"), ((UID(uid).name, uid) for uid in sorted(TRANSFER_SYNTAXES))
    )
    yield ""
    yield "## Announcements as SCP"
    yield ""
    yield (
        "Taken from the same peers, to know how many images a study has (PS3.4 F.7, R.3). Answers "
        "carry no attribute list. Kept for 90 days."
    )
    yield ""
    yield from _table(
        ("SOP class", "UID", "Operations"),
        (
            (PERFORMED_PROCEDURE_STEP.name, PERFORMED_PROCEDURE_STEP, "N-CREATE, N-SET"),
            (INSTANCE_AVAILABILITY.name, INSTANCE_AVAILABILITY, "N-CREATE"),
        ),
    )
    yield ""
    yield from _table(("Status", "Meaning", "When"), NOTICE_STATUSES)
    yield ""
    yield from _questions(appliance)
    yield from _sending(appliance)


def _sending(appliance: Appliance) -> Iterator[str]:
    yield "## Storage, Storage Commitment and Query as SCU"
    yield ""
    for name, entry in appliance.destinations.items():
        if isinstance(entry, DicomDestination):
            own = appliance.calling_ae_title(name)
            yield f"- {name}: {entry.ae_title}, calling AE title {own}, proof {entry.proof}"
        else:
            yield f"- {name}: STOW-RS (PS3.18 10.5) to {entry.url}, proof {entry.proof} (QIDO-RS)"
    yield ""
    yield from _table(
        ("SOP class", "UID"),
        (
            (uid.name, uid)
            for uid in (
                *SENT_CLASSES,
                KeyObjectSelectionDocumentStorage,
                PUSH_MODEL,
                STUDY_ROOT_FIND,
                VERIFICATION,
            )
        ),
    )
    yield ""
    yield "Transfer syntaxes: " + ", ".join(uid.name for uid in UNCOMPRESSED) + "."
    yield ""
    yield (
        "Storage commitment: N-ACTION for all objects of one association (PS3.4 J.3.2). The "
        "N-EVENT-REPORT is taken on the same association, or on one that the destination opens "
        "to the receiver with role selection as SCP (PS3.4 J.3.3); it must be listed under "
        "receiver.peers. A transaction that this node did not begin is answered 0112."
    )
    yield "Query: C-FIND at the IMAGE level, Study Root, with all three UIDs as unique keys."


def _questions(appliance: Appliance) -> Iterator[str]:
    """Study Root C-FIND, where a PACS is asked about studies."""
    asked = {appliance.completion.ask, appliance.results.identity_from} - {None}
    if not asked:
        return
    yield "## Query about studies as SCU"
    yield ""
    yield (
        f"{STUDY_ROOT_FIND.name} ({STUDY_ROOT_FIND}), levels STUDY and SERIES, to "
        f"{', '.join(sorted(str(name) for name in asked))}. Matching keys: Study Instance UID. "
        "Return keys: Number of Series Related Instances; Patient ID with issuer, name, birth "
        "date, sex, Accession Number."
    )
    yield ""


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
