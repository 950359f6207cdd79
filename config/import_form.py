"""The form beside a foreign network: what its file cannot say (`models import --form`).

Every key may be left out where the source says it itself; what is missing in the end is asked
for by name.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.messages import refusal
from config.package_results import Code, Colour
from config.package_steps import Range
from config.package_words import Positive, Text
from config.schema.base import Section

Count = Annotated[int, Field(ge=1)]
Modality = Literal["CT", "MR", "PT", "MG", "DX", "CR", "US", "SM"]
Activation = Literal["softmax", "sigmoid", "none"]


def _axes(text: str) -> str:
    if sorted("RAS"["RLAPSI".index(sign) // 2] if sign in "RLAPSI" else "?" for sign in text) != [
        "A",
        "R",
        "S",
    ]:
        raise refusal(
            "these are not three axes of the patient",
            "write one of R/L, one of A/P and one of S/I, for example RAS",
        )
    return text


class FixedRange(Section):
    """Linear from one range to another."""

    source: Range
    to: Range = (0.0, 1.0)
    clip: bool = True


class FixedScore(Section):
    """Subtract a mean and divide by a standard deviation of the training data."""

    mean: tuple[float, ...] = Field(min_length=1)
    std: tuple[Positive, ...] = Field(min_length=1)
    clip: Range | None = None


class OwnScore(Section):
    """Subtract the image's own mean and divide by its own standard deviation."""

    region: Literal["all", "nonzero"] = "all"
    clip: Range | None = None


class IntensitySection(Section):
    """How values of the image become values of the network; exactly one key.

    Attributes:
        range: HU, say, linearly to 0..1. score: with a mean and a standard deviation of the
            training data. own_score: of the image. own_range: the image's own smallest and
            largest value to this range. unchanged: as they are.
    """

    range: FixedRange | None = None
    score: FixedScore | None = None
    own_score: OwnScore | None = None
    own_range: Range | None = None
    unchanged: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [key for key in type(self).model_fields if getattr(self, key) is not None]
        if len(given) != 1:
            raise refusal(
                f"{len(given)} rules for the intensity",
                "write exactly one of range, score, own_score, own_range, unchanged",
            )
        return self


class LabelForm(Section):
    """One structure, lesion, class or box: `value` is its label, or its channel.

    The code, the side and whether it is a lesion are looked up by the name where they are left
    out.
    """

    value: Annotated[int, Field(ge=0, le=65535)]
    name: Annotated[str, Field(min_length=1, max_length=48)]
    kind: Literal["structure", "lesion"] | None = None
    code: Code | None = None
    category: Code | None = None
    site: Code | None = None
    laterality: Code | None = None
    colour: Colour | None = None
    threshold: Annotated[float, Field(ge=0, le=100)] = 50.0


class ImportForm(Section):
    """`form.yaml`.

    Attributes:
        orientation: where the axes of the network's input point to, e.g. RAS. spacing_mm: its
            voxel size in that order; two numbers for a network of planes.
        fit: of a classification: how an image becomes as large as the network's input.
        activation: what the network leaves to do: "softmax" or "sigmoid" for logits, "none"
            where the graph ends with it.
    """

    title: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")] | None = None
    manufacturer: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    licence: str | None = None
    reference: str | None = None
    intended_use: Text | None = None
    ebai_class: Literal["A", "B", "C"] | None = None
    task_number: Annotated[int, Field(ge=1, le=99)] = 90
    priority: Annotated[int, Field(ge=0)] = 50
    task: Literal["segmentation", "detection", "classification", "tiles"] | None = None
    modality: Modality | None = None
    orientations: tuple[Literal["axial", "coronal", "sagittal", "oblique"], ...] | None = None
    max_slice_spacing_mm: Positive | None = None
    orientation: Annotated[str, AfterValidator(_axes)] | None = None
    spacing_mm: tuple[Positive, ...] | None = None
    mpp_um: Positive | None = None
    intensity: IntensitySection | None = None
    fit: Literal["resize", "crop"] = "resize"
    channels: tuple[Text, ...] | None = None
    patch: Annotated[tuple[Count, ...], Field(min_length=2, max_length=3)] | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] | None = None
    batch: Count | None = None
    activation: Activation | None = None
    labels: tuple[LabelForm, ...] = ()
    limits: tuple[Annotated[str, Field(min_length=1, max_length=300)], ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        values = [label.value for label in self.labels]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise refusal(f"label {twice} stands twice", "give each value one entry", at="labels")
        return self
