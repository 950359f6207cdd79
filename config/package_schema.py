"""What `model.yaml` of a model package may say (design: a package is read without its code)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from config.messages import close_to, refusal
from config.package_networks import NetworkSection
from config.package_pipeline import fault_of
from config.package_results import ResultsSection
from config.package_steps import PostStep, PreStep
from config.package_words import (
    JobMemory,
    JobTime,
    Line,
    Name,
    PackageFile,
    Positive,
    Sha256,
    Text,
    Uid,
)
from config.schema.base import Section
from config.schema.needs import Need

#: Pipelines that need no code in the package.
BuiltIn = Literal["segmentation", "detection", "classification", "tiles", "attention_mil"]
BUILT_IN: tuple[str, ...] = get_args(BuiltIn)
_MODULE = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+")


def _pipeline(text: str) -> str:
    if text in BUILT_IN or _MODULE.fullmatch(text):
        return text
    meant = close_to(text, BUILT_IN)
    raise refusal(
        "neither a built-in pipeline nor a Python module" + (f"; '{meant}'?" if meant else ""),
        f"write one of {', '.join(BUILT_IN)}, or for example models.body_composition.pipeline",
    )


class InputSection(Section):
    """Which series the package was made for; same words as `models.manifest.InputLimits`."""

    modalities: tuple[Text, ...] = Field(min_length=1)
    sop_class_uids: tuple[Uid, ...] = Field(min_length=1)
    #: () of a package for projections, which lie nowhere in the patient.
    orientations: tuple[Literal["axial", "coronal", "sagittal", "oblique"], ...]
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

    title: Line
    code: tuple[Text, Text]
    severity: Literal["routine", "urgent", "critical"]
    score: tuple[Text, Text] = ("111012", "DCM")
    unit: Annotated[str, Field(max_length=16)] = "%"
    threshold: Text


class LimitsSection(Section):
    """What one job may use in the worker: at most a day, and a terabyte."""

    job_time_s: JobTime
    job_memory_mb: JobMemory


class SourceSection(Section):
    """Where an imported package came from; same words as `models.manifest.Source`."""

    framework: Literal["monai", "nnunet", "totalsegmentator", "onnx"]
    version: str = ""
    licence: str = ""
    reference: str = ""
    files: dict[Text, Sha256] = Field(default_factory=dict)


class Package(Section):
    """`model.yaml`."""

    format: Literal[1, 2]
    name: Name
    title: Line
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.-]+)?$")]
    manufacturer: Line
    task: Annotated[int, Field(ge=1, le=99)]
    ebai_class: Literal["A", "B", "C"]
    pipeline: Annotated[str, AfterValidator(_pipeline)]
    intended_use: Text
    triage: bool
    key_objects: bool | None = None
    priority: Annotated[int, Field(ge=0)]
    limits: LimitsSection
    inputs: InputSection
    networks: tuple[NetworkSection, ...] = Field(min_length=1)
    preprocess: tuple[PreStep, ...] = ()
    postprocess: tuple[PostStep, ...] = ()
    results: ResultsSection | None = None
    thresholds: dict[str, float] = Field(default_factory=dict)
    acute_findings: dict[Name, AcuteSection] = Field(default_factory=dict)
    golden: GoldenSection | None = None
    needs: dict[Name, Need] = Field(default_factory=dict)
    uses: tuple[Literal["anatomy"], ...] = ()
    source: SourceSection | None = None

    @property
    def with_key_objects(self) -> bool:
        """Left out: acute tasks write them, the others do not."""
        return self.triage if self.key_objects is None else self.key_objects

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

    @model_validator(mode="after")
    def _pipeline_fits(self) -> Package:
        fault = fault_of(
            self.pipeline,
            self.networks,
            (self.preprocess, self.postprocess),
            self.results,
            tuple(self.thresholds),
        )
        if fault is not None:
            raise fault
        return self

    @model_validator(mode="after")
    def _views_known(self) -> Package:
        views = self.results.views if self.results else ()
        for name in views[1:]:
            if name not in self.needs:
                raise refusal(
                    f"no series plays the role '{name}'",
                    f"add '{name}:' below 'needs:' with what the series must be",
                    at="results.views",
                )
        return self

    @model_validator(mode="after")
    def _projections_have_no_place(self) -> Package:
        for number, step in enumerate(self.preprocess):
            if step.step in ("orient", "spacing") and not self.inputs.orientations:
                raise refusal(
                    "the package names no orientation, so it reads projections, which have no "
                    "axes and no voxel size in the patient",
                    "use resize, or name the orientations of the series",
                    at=f"preprocess.{number}.step",
                )
        return self
