"""An alert as HL7 v2.5.1 ORU^R01, built and validated by hl7apy; and its acknowledgement, read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Group
from hl7apy.core import Message as Hl7Message
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from node.domain.errors import DeliveryError
from node.ledger.alerts import AlertKind
from node.pipeline.alerting.message import Identity, Message

VERSION = "2.5.1"
#: MSH-10 holds 20 characters (chapter 2, 2.15.9.10).
CONTROL_ID = 20
_ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """MSH-3 to MSH-6."""

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """MSA of the answer: code (AA, AE, AR, CA, CE, CR), whose it is, and what it says."""

    code: str
    control_id: str
    text: str


def control_id(message: Message) -> str:
    """The same at each attempt, so that a receiver can tell a repetition."""
    return message.key[:CONTROL_ID]


def encode(message: Message, parties: Parties) -> str:
    """One ORU^R01 in ER7, segments ended by carriage returns.

    PID stands in it only where the identity may be shown (the group is optional, chapter 7,
    7.3.1). A correction has the filler order number of the alert that it takes back.

    Raises:
        DeliveryError: the message does not keep to the standard.
    """
    try:
        hl7 = Hl7Message("ORU_R01", version=VERSION, validation_level=VALIDATION_LEVEL.STRICT)
        _header(hl7, message, parties)
        result = hl7.add_group("ORU_R01_PATIENT_RESULT")
        if message.identity.patient_id:
            _patient(result, message.identity)
        _order(result, message)
        hl7.validate()
        text: str = hl7.to_er7()
    except HL7apyException as error:
        raise DeliveryError(
            f"the alert cannot be written as ORU^R01 ({type(error).__name__}); please report this"
        ) from None
    return text


def read_acknowledgement(text: str) -> Acknowledgement:
    """MSA-1, MSA-2 and MSA-3.

    Raises:
        DeliveryError: the answer is no HL7 acknowledgement.
    """
    try:
        msa = parse_message(text, find_groups=False).msa
        code, identifier = str(msa.msa_1.value or ""), str(msa.msa_2.value or "")
        told = str(msa.msa_3.value or "")
    except (HL7apyException, AttributeError, IndexError, ValueError, KeyError, TypeError):
        raise DeliveryError("the answer is no HL7 acknowledgement") from None
    return Acknowledgement(code.strip().upper(), identifier.strip(), told)


def _header(hl7: Any, message: Message, parties: Parties) -> None:  # noqa: ANN401 - untyped library
    msh = hl7.msh
    msh.msh_3 = _escaped(parties.sending_application)
    msh.msh_4 = _escaped(parties.sending_facility or message.node)
    if parties.receiving_application:
        msh.msh_5 = _escaped(parties.receiving_application)
    if parties.receiving_facility:
        msh.msh_6 = _escaped(parties.receiving_facility)
    msh.msh_7 = _time(message.created_at)
    msh.msh_9 = "ORU^R01^ORU_R01"
    msh.msh_10 = control_id(message)
    msh.msh_11 = "P"
    msh.msh_18 = "UNICODE UTF-8"


def _patient(result: Group, identity: Identity) -> None:
    pid: Any = result.add_group("ORU_R01_PATIENT").add_segment("PID")
    pid.pid_1 = "1"
    pid.pid_3 = _escaped(identity.patient_id)
    family, given, middle, prefix, suffix = map(_escaped, identity.name)
    # XPN puts the suffix before the prefix, DICOM the other way round.
    pid.pid_5 = "^".join((family, given, middle, suffix, prefix)).rstrip("^") or "^"
    if identity.birth_date.isdigit() and len(identity.birth_date) == 8:
        pid.pid_7 = identity.birth_date


def _order(result: Group, message: Message) -> None:
    correction = message.kind is AlertKind.CORRECTION
    order: Any = result.add_group("ORU_R01_ORDER_OBSERVATION")
    obr = order.add_segment("OBR")
    obr.obr_1 = "1"
    obr.obr_3 = f"{message.corrects or message.key}^VIGIE"
    obr.obr_4 = _coded(message)
    obr.obr_7 = _time(message.created_at)
    if message.identity.accession_number:
        # IHE RAD TF-2 4.2: the accession number travels in OBR-18, Placer Field 1.
        obr.obr_18 = _escaped(message.identity.accession_number)
    obr.obr_22 = _time(message.created_at)
    # Table 0123: preliminary, since nobody has verified it; or a correction.
    obr.obr_25 = "C" if correction else "P"
    for number, fields in enumerate(_observations(message), start=1):
        obx = order.add_group("ORU_R01_OBSERVATION").add_segment("OBX")
        obx.obx_1 = str(number)
        for name, value in fields.items():
            setattr(obx, name, value)
        # Table 0085; "O" is an order detail, not a result.
        if "obx_11" not in fields:
            obx.obx_11 = "C" if correction else "P"


def _observations(message: Message) -> Iterator[dict[str, str]]:
    """The text line by line, the score, the study, the mark of the node."""
    flag = {"critical": "AA", "urgent": "A"}.get(message.facts.get("severity", ""), "")
    first = True
    for line in filter(None, (line.strip() for line in message.text.splitlines())):
        fields = {"obx_2": "TX", "obx_3": _coded(message), "obx_5": _escaped(line)}
        if first and flag and message.kind is AlertKind.FINDING:
            fields["obx_8"] = flag
        first = False
        yield fields
    if message.kind is AlertKind.FINDING:
        facts = message.facts
        unit = _escaped(facts["score_unit"])
        yield {
            "obx_2": "NM",
            "obx_3": "^".join(
                (_escaped(facts["score_code"]), "Score", _escaped(facts["score_scheme"]))
            ),
            "obx_5": facts["score_value"],
            "obx_6": f"{unit}^{unit}^UCUM" if unit == "%" else unit,
        }
    yield {
        "obx_2": "HD",
        "obx_3": "113014^DICOM Study^DCM",
        "obx_5": f"^{message.study_uid}^ISO",
        "obx_11": "O",
    }


def _coded(message: Message) -> str:
    facts = message.facts
    parts = (facts.get("code", ""), facts.get("title", ""), facts.get("scheme", ""))
    return "^".join(map(_escaped, parts))


def _escaped(text: str) -> str:
    """Separators as chapter 2, 2.7.1 asks; control characters cannot end a segment."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return "".join(_ESCAPES.get(c, c) for c in shown)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S%z")
