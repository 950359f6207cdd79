"""A region of interest: fewer windows, the same result inside, background outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.builtin.running import run_heads, run_maps
from inference.engine import EngineOptions, LoadedNetwork, open_network
from inference.steps.image import Image, Interest
from models.manifest import Windows
from models.manifest_region import RegionOfInterest
from models.manifest_steps import Argmax, Sigmoid
from node.domain.finding import Findings, Status
from tests.inference.builtin.examples import manifest
from tests.inference.builtin.made import AIR, TISSUE, analysed, ball, volume
from tests.inference.specs import manifest as manifest_of
from tests.inference.specs import network_spec, tensor

SPACING = "  - {step: spacing, spacing_mm: [4.0, 4.0, 4.0], interpolation: linear}\n"
BEHIND = """  - {step: softmax}
  - {step: invert, interpolation: linear}
  - {step: argmax}
"""


@pytest.fixture
def windows_run(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows each call of a network had."""
    counted: list[int] = []
    real = LoadedNetwork._call

    def call(self: LoadedNetwork, feeds: Any, wanted: Any) -> Any:
        counted.append(len(next(iter(feeds.values()))))
        return real(self, feeds, wanted)

    monkeypatch.setattr(LoadedNetwork, "_call", call)
    return counted


def small_body_in_a_wide_field() -> NDArray[np.int16]:
    """(slice, row, column) HU: a body in one corner, something bright in it and far from it."""
    voxels = np.full((48, 80, 80), AIR, np.int16)
    voxels[:30, 4:28, 4:28] = TISSUE
    ball(voxels, (14, 15, 15), 5)
    ball(voxels, (40, 70, 70), 4)
    return voxels


def with_region(keys: str, behind: str = BEHIND) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert SPACING in text
        assert BEHIND in text
        step = f"  - {{step: region_of_interest, {keys}}}\n" if keys else ""
        return text.replace(SPACING, SPACING + step).replace(BEHIND, behind)

    return change


def bright(findings: Findings) -> NDArray[np.bool_]:
    (segment,) = findings.segments
    mask = np.zeros((48, 80, 80), np.bool_)
    for number in range(48):
        mask[number] = np.asarray(segment.mask)[number]
    return mask


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(BEHIND, id="whole maps"),
        pytest.param(
            "  - {step: argmax}\n  - {step: invert, interpolation: nearest}\n", id="labels in slabs"
        ),
        pytest.param(
            "  - {step: sigmoid}\n  - {step: invert, interpolation: linear}\n"
            "  - {step: threshold, at: 0.75, channel: 1}\n",
            id="overlapping channels",
        ),
    ],
)
def test_a_segmentation_looks_at_the_body_only_and_finds_the_same_in_it(
    tmp_path: Path, windows_run: list[int], behind: str
) -> None:
    images = volume(small_body_in_a_wide_field())
    whole = analysed(manifest("segmentation", tmp_path / "a", with_region("", behind)), images)
    everything = sum(windows_run)
    windows_run.clear()
    region = with_region("above: -500, parts: largest, margin_mm: 8", behind)
    part = analysed(manifest("segmentation", tmp_path / "b", region), images)
    assert 0 < sum(windows_run) < everything / 3
    inside = np.zeros((48, 80, 80), np.bool_)
    inside[:32, 2:30, 2:30] = True
    expected = bright(whole)
    assert expected[inside].any()
    assert expected[~inside].any(), "without a region, what lies far from the body is found too"
    np.testing.assert_array_equal(bright(part)[inside], expected[inside])
    assert not bright(part)[~inside].any()
    assert any("Only the region above -500" in limit for limit in part.limits)
    assert not any("Only the region" in limit for limit in whole.limits)
    assert dict(part.parameters)["region of interest"].startswith("above -500")


def test_images_without_anything_above_the_limit_are_not_eligible_and_not_negative(
    tmp_path: Path, windows_run: list[int]
) -> None:
    images = volume(np.full((40, 48, 48), AIR, np.int16))
    stated = manifest("segmentation", tmp_path, with_region("above: -500"))
    findings = analysed(stated, images)
    assert findings.status is Status.NOT_ELIGIBLE
    assert "no voxel of these images is above -500" in findings.reason
    assert not windows_run


def test_a_detection_finds_the_same_box_in_fewer_windows_and_none_outside(
    tmp_path: Path, windows_run: list[int]
) -> None:
    voxels = np.full((32, 64, 64), AIR, np.int16)
    # Fat, which the network does not see, makes the first one the larger part.
    voxels[8:12, 16:20, 20:24] = -200
    voxels[8:12, 16:20, 24:28] = 450
    voxels[24:28, 56:60, 56:60] = 450
    images = volume(voxels)
    both = analysed(manifest("detection", tmp_path / "a", _certain), images)
    everything = sum(windows_run)
    windows_run.clear()

    def change(text: str) -> str:
        spacing = "  - {step: spacing, spacing_mm: [4.0, 4.0, 4.0]}\n"
        assert spacing in text
        step = "  - {step: region_of_interest, above: -500, parts: largest}\n"
        return _certain(text.replace(spacing, spacing + step))

    one = analysed(manifest("detection", tmp_path / "b", change), images)
    assert 0 < sum(windows_run) < everything / 2
    assert len(both.findings) == 2
    (found,) = one.findings
    (same,) = (
        finding
        for finding in both.findings
        if finding.contours[0].points.tolist() == found.contours[0].points.tolist()
    )
    assert found.measurements == same.measurements
    assert found.contours[0].plane == same.contours[0].plane


def _certain(text: str) -> str:
    assert "thresholds: {certain: 90}" in text
    return text.replace("thresholds: {certain: 90}", "thresholds: {certain: 51}")


def test_a_planar_network_skips_the_slices_and_windows_without_a_voxel_of_the_region(
    windows_run: list[int],
) -> None:
    spec = replace(network_spec("flat"), windows=Windows(overlap=0.5, batch=3))
    networks = {"flat": open_network(spec, EngineOptions())}
    values = np.random.default_rng(3).normal(size=(1, 9, 40, 40)).astype(np.float32)
    mask = np.zeros((9, 40, 40), np.bool_)
    mask[4, 3:6, 30:38] = True
    image = Image(values=values, affine=np.eye(4))
    region = Interest(mask=mask, step=RegionOfInterest(above=0.0, outside=(-7.0, 7.0)))
    for step, background in ((Argmax(), 7.0), (Sigmoid(), -7.0)):
        package = manifest_of(spec, postprocess=(step,))
        whole = run_maps(package, networks, image).values
        windows_run.clear()
        part = run_maps(package, networks, replace(image, region=region)).values
        assert sum(windows_run) <= 4
        np.testing.assert_array_equal(part[:, mask], whole[:, mask])
        assert (part[0, ~mask] == background).all()
        assert (part[1:, ~mask] == -7.0).all()


def test_cells_of_a_coarse_map_that_touch_the_region_are_as_without_it(
    windows_run: list[int],
) -> None:
    spec = replace(
        network_spec(
            "two_heads",
            inputs=(tensor("image", "CT"), replace(tensor("mask", "body"), dtype="uint8")),
            outputs=(tensor("logits", "a"), replace(tensor("half", "a"), stride=(2, 2))),
        ),
        windows=Windows(overlap=0.5, weights="constant", starts="monai"),
    )
    opened = open_network(spec, EngineOptions())

    class OneInput:
        name, provider = "two_heads", "test"

        def run(self, inputs: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
            ones = np.ones(inputs["image"].shape, np.uint8)
            return opened.run({**inputs, "mask": ones})

    image = np.random.default_rng(1).normal(size=(1, 64, 48)).astype(np.float32)
    region = np.zeros((64, 48), np.bool_)
    region[50:53, 3] = True
    network: Any = OneInput()
    whole = run_heads(network, spec, image, ("half",))["half"]
    windows_run.clear()
    part = run_heads(network, spec, image, ("half",), region)["half"]
    assert sum(windows_run) == 2
    cells = np.zeros(whole.shape[1:], np.bool_)
    cells[25:27, 1] = True
    np.testing.assert_array_equal(part[:, cells], whole[:, cells])
    assert np.isneginf(part[:, ~cells]).all()
