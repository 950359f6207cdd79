"""Attributes that every object about a study repeats from another one."""

from __future__ import annotations

from typing import Final

#: Whose it is: Patient module and General Study module (PS3.3 C.7.1.1, C.7.2.1), with the
#: character set that their values are written in.
IDENTITY: Final = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
)
#: Who made it: General Equipment module (PS3.3 C.7.5.1) and the labels of a research result.
EQUIPMENT: Final = (
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "DeviceUID",
    "StationName",
    "InstitutionName",
    "ContributingEquipmentSequence",
    "ContentQualification",
)
