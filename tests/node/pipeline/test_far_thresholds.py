"""A threshold that lies far from the package's own is warned of, with line, column and remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from config.load import load
from node.pipeline.far_thresholds import far_thresholds
from tests.node import words

FILE = """\
version: 1
receiver: {peers: {ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}}}
storage: {path: ./var}
models:
  body_composition: {thresholds: {reported: VALUE}}
"""


def told(folder: Path, value: str, shipped: float) -> list[str]:
    path = folder / "appliance.yaml"
    path.write_text(FILE.replace("VALUE", value))
    loaded = load(path, {"body_composition": ["reported"]})
    manifest = replace(words.manifest(), thresholds={"reported": shipped})
    found = far_thresholds(loaded, {"body_composition": manifest})
    return [str(fault).removeprefix(f"{path}:") for fault in found]


@pytest.mark.parametrize(
    ("value", "shipped"), [("300", 30.0), ("0.3", 30.0), ("0", 30.0), ("-30", 30.0), ("7", -2.0)]
)
def test_a_threshold_far_from_the_packages_is_named(
    tmp_path: Path, value: str, shipped: float
) -> None:
    (line,) = told(tmp_path, value, shipped)
    assert line.startswith("5:35: models.body_composition.thresholds.reported: ")
    assert f"far from the {shipped:g} of the package" in line


@pytest.mark.parametrize(
    ("value", "shipped"), [("30", 30.0), ("90", 30.0), ("10", 30.0), ("-3", -2.0), ("5", 0.0)]
)
def test_a_threshold_near_the_packages_is_not(tmp_path: Path, value: str, shipped: float) -> None:
    assert told(tmp_path, value, shipped) == []
