"""The sections of `model.yaml` and the values made of them say the same words."""

from __future__ import annotations

import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from config import package_results, package_steps
from config.load import read_document
from config.schema.base import Section
from inference.steps import chain
from models import manifest_results
from models.manifest_steps import (
    POST_STEPS,
    PRE_STEPS,
    Relabel,
    ScaleRange,
    Spacing,
    Threshold,
)
from models.steps_of import postprocessing, preprocessing
from node.domain.errors import ConfigError


class Steps(Section):
    preprocess: tuple[package_steps.PreStep, ...] = ()
    postprocess: tuple[package_steps.PostStep, ...] = ()


def read(folder: Path, text: str) -> Steps:
    path = folder / "model.yaml"
    path.write_text(text, encoding="utf-8")
    return read_document(path, Steps)


def sections(union: object) -> dict[str, type[Section]]:
    (members, _) = typing.get_args(union)
    found = {}
    for section in typing.get_args(members):
        (word,) = typing.get_args(section.model_fields["step"].annotation)
        found[word] = section
    return found


@pytest.mark.parametrize(
    ("union", "steps"), [(package_steps.PreStep, PRE_STEPS), (package_steps.PostStep, POST_STEPS)]
)
def test_every_step_has_a_section_with_the_same_keys_and_defaults(union: Any, steps: Any) -> None:
    by_word = sections(union)
    assert set(by_word) == {step.step for step in steps}
    for step in steps:
        keys = {name: f for name, f in by_word[step.step].model_fields.items() if name != "step"}
        assert set(keys) == {field.name for field in fields(step)}, step
        for field in fields(step):
            stated = keys[field.name]
            if not stated.is_required():
                assert stated.default == field.default, (step, field.name)


def test_every_step_but_boxes_has_its_function() -> None:
    words = {step.step for step in (*PRE_STEPS, *POST_STEPS)} - {"boxes"}
    assert set(chain._FUNCTIONS) == words


@pytest.mark.parametrize(
    ("section", "value"),
    [
        (package_results.LabelSection, manifest_results.LabelResult),
        (package_results.ClassSection, manifest_results.ClassResult),
        (package_results.BoxSection, manifest_results.BoxResult),
        (package_results.RegionSection, manifest_results.RegionResult),
        (package_results.AggregateSection, manifest_results.Aggregate),
        (package_results.TilesSection, manifest_results.TileReading),
        (package_results.ResultsSection, manifest_results.Results),
    ],
)
def test_results_have_the_same_words(section: Any, value: Any) -> None:
    assert set(section.model_fields) == {field.name for field in fields(value)}


def test_steps_are_read_as_values(tmp_path: Path) -> None:
    read_in = read(
        tmp_path,
        "preprocess:\n"
        "  - {step: spacing, spacing_mm: [1.5, null, 2], grid: nnunet, interpolation: cubic}\n"
        "  - {step: scale_range, from: [-57, 164], to: [0, 1], clip: true}\n"
        "postprocess:\n"
        "  - {step: relabel, table: {1: 5, 2: 6}}\n"
        "  - {step: threshold, at: certain}\n",
    )
    assert preprocessing(read_in.preprocess) == (
        Spacing(spacing_mm=(1.5, None, 2.0), grid="nnunet", interpolation="cubic"),
        ScaleRange(source=(-57.0, 164.0), to=(0.0, 1.0), clip=True),
    )
    assert postprocessing(read_in.postprocess) == (
        Relabel(table={1: 5, 2: 6}),
        Threshold(at="certain"),
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{step: orient, axes: RAA}", "write one of R/L, one of A/P and one of S/I"),
        ("{step: spacng, spacing_mm: [1, 1, 1]}", "did you mean 'spacing'?"),
        ("{step: scale_range, from: [7, 1]}", "write the lower value first"),
        ("{step: scale_range, frm: [1, 7]}", "did you mean 'from'?"),
        ("{step: pad, value: 0}", "write either 'size: [...]' or 'divisible_by: [...]'"),
        ("{step: spacing, spacing_mm: [1, 1, 1], interpolation: cubic}", "or another grid"),
        ("{step: windows, windows: [[40, 0]]}", "write [centre, width]"),
        ("{spacing_mm: [1, 1, 1]}", "step: "),
    ],
)
def test_a_faulty_step_is_told_with_its_remedy(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"preprocess:\n  - {line}\n")
    assert told in str(caught.value)
    assert "model.yaml:2:" in str(caught.value)
