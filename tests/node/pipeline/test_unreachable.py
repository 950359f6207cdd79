"""Routes that can never give a model anything are warned of, with line, column and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import load
from node.pipeline.unreachable import leading_nowhere
from tests.node import words

HEAD = """\
version: 1
receiver: {peers: {ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}}}
storage: {path: ./var}
models: {body_composition: {}}
destinations: {pacs: {type: dicom, ae_title: A, host: a, port: 104}}
"""

ROUTE = "routes:\n  r: {models: [body_composition], destinations: [pacs], when: {"


def told(folder: Path, routes: str) -> list[str]:
    path = folder / "appliance.yaml"
    path.write_text(HEAD + routes)
    loaded = load(path, ["body_composition"])
    found = leading_nowhere(loaded, {"body_composition": words.manifest()})
    return [str(fault).removeprefix(f"{path}:") for fault in found]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("modalities: [MR]", "8:7: routes.r.when.modalities: the model body_composition "),
        ("modality: [MR, PT]", "8:7: routes.r.when.modality: "),
        ("orientation: sagittal", "8:7: routes.r.when.orientation: "),
        ("slices: {max: 5}", "needs a number of slices of at least 10"),
        ("slice_spacing_mm: {min: 8}", "needs a slice distance of at most 6 mm"),
        ("patient_age_years: {max: 10}", "write {max: 16} or more"),
        ("all: [{modality: MR}]", "8:14: routes.r.when.all.0.modality: "),
    ],
)
def test_a_route_that_its_model_can_never_use_is_named(
    tmp_path: Path, when: str, expected: str
) -> None:
    routes = f"{ROUTE}\n      {when}}}}}\n"
    (line,) = told(tmp_path, routes)
    assert expected in line


@pytest.mark.parametrize(
    "when",
    ["modality: [MR, CT]", "slices: {max: 20}", "any: [{modality: MR}, {modality: CT}]", ""],
)
def test_a_route_that_its_model_can_use_is_not(tmp_path: Path, when: str) -> None:
    routes = (
        f"routes:\n  r: {{models: [body_composition], destinations: [pacs], when: {{{when}}}}}\n"
    )
    assert told(tmp_path, routes) == []


def test_a_model_that_no_route_names_is_named(tmp_path: Path) -> None:
    (line,) = told(tmp_path, "")
    assert line.startswith("4:10: models.body_composition: no route names this model")
