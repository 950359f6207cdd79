"""What `model.yaml` of a model package may say (design: a package is read without its code)."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from config.messages import refusal
from config.schema.base import Section

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MODULE = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise refusal(
            "this is not a SHA-256 digest (64 digits 0-9 a-f)",
            "run `python -m models.seal FOLDER`, which writes the digests of the files",
        )
    return text


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text:
        raise refusal("the file must lie inside the package", "write a path relative to model.yaml")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise refusal("not a name", "use a-z, 0-9 and _, first a letter, 40 at most")
    return text


def _module(text: str) -> str:
    if not _MODULE.fullmatch(text):
        raise refusal("not a Python module", "for example models.body_composition.pipeline")
    return text


def _uid(text: str) -> str:
    if len(text) > 64 or not _UID.fullmatch(text):
        raise refusal("not a UID (PS3.5 section 9.1)", "numbers and dots, 64 characters at most")
    return text


Sha256 = Annotated[str, AfterValidator(_sha256)]
PackageFile = Annotated[str, AfterValidator(_inside)]
Name = Annotated[str, AfterValidator(_name)]
Positive = Annotated[float, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]


class InputSection(Section):
    """Which series the package was made for; same words as `models.manifest.InputLimits`."""

    modalities: tuple[Text, ...] = Field(min_length=1)
    sop_class_uids: tuple[Annotated[str, AfterValidator(_uid)], ...] = Field(min_length=1)
    orientations: tuple[Literal["axial", "coronal", "sagittal", "oblique"], ...] = Field(
        min_length=1
    )
    min_planes: Annotated[int, Field(ge=1)]
    min_extent_mm: Annotated[float, Field(ge=0)]
    max_spacing_mm: Positive
    max_tilt_degrees: Annotated[float, Field(ge=0, le=45)]
    max_gap_factor: Annotated[float, Field(ge=1)]
    pixel_spacing_mm: tuple[Positive, Positive]
    refused_image_types: tuple[Text, ...] = ()
    min_age_years: Annotated[float, Field(ge=0)] | None = None
    body_parts_hint: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _smallest_first(self) -> InputSection:
        if self.pixel_spacing_mm[0] > self.pixel_spacing_mm[1]:
            raise refusal(
                "the smallest pixel spacing is above the largest",
                "write the smaller number first",
                at="pixel_spacing_mm",
            )
        return self


class NetworkSection(Section):
    """One ONNX network; same words as `models.manifest.NetworkSpec`."""

    name: Name
    path: PackageFile
    sha256: Sha256
    input_name: Text
    output_name: Text
    patch: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=2, max_length=3)
    channels: tuple[Text, ...] = Field(min_length=1)
    classes: tuple[Text, ...] = Field(min_length=1)
    spacing_mm: tuple[Positive, ...]
    value_range: tuple[float, float]
    overlap: Annotated[float, Field(ge=0, lt=1)]
    batch: Annotated[int, Field(ge=1)]
    tolerance: dict[str, Positive] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> NetworkSection:
        if len(self.spacing_mm) != len(self.patch):
            raise refusal(
                f"{len(self.spacing_mm)} numbers for a window of {len(self.patch)} axes",
                "write one spacing for each axis of 'patch'",
                at="spacing_mm",
            )
        if self.value_range[0] >= self.value_range[1]:
            raise refusal("an empty range", "write the lower value first", at="value_range")
        if "CPUExecutionProvider" not in self.tolerance:
            raise refusal(
                "no tolerance for CPUExecutionProvider",
                "every network must be provable on the CPU: add it",
                at="tolerance",
            )
        return self


class GoldenSection(Section):
    """The golden case: inputs and the outputs that must come back."""

    inputs: PackageFile
    inputs_sha256: Sha256
    expected: PackageFile
    expected_sha256: Sha256


class AcuteSection(Section):
    """One acute finding; same words as `node.domain.acute.AcuteFinding`.

    `code` and `score` are code value and coding scheme of the finding and of the measurement
    that decides; `threshold` names the operating threshold among `thresholds`.
    """

    title: Annotated[str, Field(min_length=1, max_length=64)]
    code: tuple[Text, Text]
    severity: Literal["routine", "urgent", "critical"]
    score: tuple[Text, Text] = ("111012", "DCM")
    unit: Annotated[str, Field(max_length=16)] = "%"
    threshold: Text


class LimitsSection(Section):
    """What one job may use in the worker."""

    job_time_s: Positive
    job_memory_mb: Annotated[int, Field(ge=256)]


class Package(Section):
    """`model.yaml`."""

    format: Literal[1]
    name: Name
    title: Annotated[str, Field(min_length=1, max_length=64)]
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.-]+)?$")]
    manufacturer: Annotated[str, Field(min_length=1, max_length=64)]
    task: Annotated[int, Field(ge=1, le=99)]
    ebai_class: Literal["A", "B", "C"]
    pipeline: Annotated[str, AfterValidator(_module)]
    intended_use: Text
    triage: bool
    priority: Annotated[int, Field(ge=0)]
    limits: LimitsSection
    inputs: InputSection
    networks: tuple[NetworkSection, ...] = Field(min_length=1)
    thresholds: dict[str, float] = Field(default_factory=dict)
    acute_findings: dict[Name, AcuteSection] = Field(default_factory=dict)
    golden: GoldenSection | None = None

    @model_validator(mode="after")
    def _names_once(self) -> Package:
        names = [network.name for network in self.networks]
        for name in names:
            if names.count(name) > 1:
                raise refusal(
                    f"two networks are called '{name}'",
                    "give each network a name of its own",
                    at="networks",
                )
        return self

    @model_validator(mode="after")
    def _thresholds_known(self) -> Package:
        for name, acute in self.acute_findings.items():
            if acute.threshold not in self.thresholds:
                raise refusal(
                    f"there is no threshold '{acute.threshold}'",
                    "add it below 'thresholds:' with the value that the card states as confirmed",
                    at=f"acute_findings.{name}.threshold",
                )
        return self
