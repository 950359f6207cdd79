"""The form beside an nnU-Net or TotalSegmentator model: what its folder cannot say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.messages import refusal
from config.package_results import Code
from config.package_steps import axes_of_patient
from config.package_words import JobMemory, JobTime, Text, Uid
from config.schema.base import Section


def _fold(name: int | str) -> str:
    """0 or "all" of nnU-Net's command line, or the folder's name."""
    text = str(name).removeprefix("fold_")
    if text != "all" and not text.isdecimal():
        raise refusal("not a fold", "write its number, or all", at="folds")
    return f"fold_{text}"


class FormLabel(Section):
    """What one label of the data set means.

    `code`: what it is; `site`: where, for a lesion; `kind`: lesions are listed one by one.
    """

    code: Code
    kind: Literal["structure", "lesion"] = "structure"
    site: Code | None = None
    laterality: Code | None = None


class NnunetForm(Section):
    """Every key may be left out; the card of the package then says what was assumed.

    Attributes:
        axes: where the axes of the training images' arrays (z, y, x of SimpleITK) point to.
        folds: which to use; several are averaged. step: of the windows, as a part of the patch.
        mirror: average over mirrored runs, where training mirrored (8 times the work in 3-D).
        accumulate: float16 reproduces nnU-Net's own sums, float32 is more exact.
        input_order, labels_back: of TotalSegmentator: spline of the way in (its option -ro) and
            labels on the way back (linear is its option --higher_order_resampling_LEGACY).
        labels: by the name in dataset.json.
    """

    title: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")] = "1.0.0"
    manufacturer: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    intended_use: Text | None = None
    licence: str = ""
    reference: str = ""
    task: Annotated[int, Field(ge=1, le=99)] = 8
    ebai_class: Literal["A", "B", "C"] = "A"
    modality: Literal["CT", "MR", "PT"] | None = None
    sop_class_uids: tuple[Uid, ...] = ()
    axes: Annotated[str, AfterValidator(axes_of_patient)] | None = None
    folds: tuple[Annotated[int | str, AfterValidator(_fold)], ...] = ()
    step: Annotated[float, Field(gt=0, le=1)] | None = None
    mirror: bool | None = None
    accumulate: Literal["float32", "float16"] = "float32"
    input_order: Literal[1, 3] = 3
    labels_back: Literal["linear", "nearest"] = "linear"
    job_time_s: JobTime = 3600.0
    job_memory_mb: JobMemory = 16_000
    labels: dict[Text, FormLabel] = Field(default_factory=dict)
