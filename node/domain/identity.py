"""Whose study it is: what the images state, what a PACS holds, and where the two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from node.domain.letters import plain_letters
from node.domain.study import CompletedStudy

#: Keyword -> field of `Patient`.
_OF_THE_PATIENT: Final = {
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer_of_patient_id",
    "PatientName": "patient_name",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
}
#: Where the PACS contradicts one of these, the images are another person's.
OF_THE_PERSON: Final = frozenset(("PatientID", "IssuerOfPatientID", "PatientBirthDate"))
_ACCESSION_NUMBER: Final = "AccessionNumber"


#: What is typed where an identifier is missing; letters and digits only.
_PLACEHOLDERS: Final = frozenset((
    "unknown", "unk", "anonymous", "anonym", "anon", "anonymized", "anonymised", "none", "no",
    "noid", "nopatientid", "na", "nil", "null", "test", "testpatient", "patient", "patientid",
    "pat", "id", "trauma", "emergency", "notfall", "notaufnahme", "unbekannt", "inconnu",
    "sconosciuto", "desconocido", "desconhecido", "onbekend", "nieznany", "nn", "johndoe",
    "janedoe", "doe", "temp", "phantom", "service", "dummy", "default", "missing", "notavailable",
    "undefined",
))  # fmt: skip
#: Those of them that hospitals write before a number of their own.
_PREFIXES: Final = frozenset(("patient", "patientid", "pat", "id", "no", "nn"))
#: So many digits behind a prefix tell people apart.
_FEWEST_DIGITS: Final = 5


def is_placeholder(patient_id: str) -> bool:
    """Does the identifier stand for nobody in particular, so that strangers may share it?"""
    letters = "".join(letter for letter in plain_letters(patient_id) if letter.isalnum())
    word = letters.rstrip("0123456789")
    number = letters.removeprefix(word)
    # "UNKNOWN", "ID 00000", and "TRAUMA20240131" or "NN 31012024", which all unknown patients of a
    # day share; but "PAT0047113" is somebody's.
    is_number = len(number) >= _FEWEST_DIGITS and not _is_filler(number) and not _is_date(number)
    is_somebody = word in _PREFIXES and is_number
    return _is_filler(letters) or (word in _PLACEHOLDERS and not is_somebody)


def _is_filler(letters: str) -> bool:
    """ "0000", "99999", "xxx", "1", "12345678"."""
    counted = "1234567890".startswith(letters) or "0123456789".startswith(letters)
    return len(set(letters)) < 2 or counted


def _is_date(number: str) -> bool:
    """ "20240131", "31012024"."""
    orders = (("%Y%m%d", number), ("%d%m%Y", number), ("%m%d%Y", number))
    return len(number) == 8 and any(_reads(text, order) for order, text in orders)


def _reads(text: str, order: str) -> bool:
    try:
        return 1900 <= datetime.strptime(text, order).year <= 2100  # noqa: DTZ007 - a day alone
    except ValueError:
        return False


def stated_identity(study: CompletedStudy) -> dict[str, str]:
    """Values by keyword, as the study has them."""
    values = {
        keyword: str(getattr(study.patient, field)) for keyword, field in _OF_THE_PATIENT.items()
    }
    return {**values, _ACCESSION_NUMBER: study.accession_number}


def with_identity(study: CompletedStudy, held: Mapping[str, str]) -> CompletedStudy:
    """The same study as the PACS holds it; what the PACS leaves empty stays as it is."""
    patient = study.patient
    return replace(
        study,
        patient=replace(
            patient,
            patient_id=held.get("PatientID") or patient.patient_id,
            issuer_of_patient_id=held.get("IssuerOfPatientID") or patient.issuer_of_patient_id,
            patient_name=held.get("PatientName") or patient.patient_name,
            birth_date=held.get("PatientBirthDate") or patient.birth_date,
            sex=held.get("PatientSex") or patient.sex,
        ),
        accession_number=held.get(_ACCESSION_NUMBER) or study.accession_number,
    )


def agrees(stated: Mapping[str, str], held: Mapping[str, str]) -> bool:
    """Is what the images state what the PACS holds, in everything that the PACS says?"""
    return not differing(stated, held)


def differing(stated: Mapping[str, str], held: Mapping[str, str]) -> tuple[str, ...]:
    """Keywords in which the PACS contradicts what is stated; what it leaves empty says nothing."""
    return tuple(
        keyword
        for keyword, value in held.items()
        if value and _plain(keyword, stated.get(keyword, "")) != _plain(keyword, value)
    )


def _plain(keyword: str, value: str) -> str:
    """A value without the padding and the empty components that PS3.5 6.2 makes optional."""
    text = value.strip(" \0")
    return text.rstrip("^= ") if keyword == "PatientName" else text
