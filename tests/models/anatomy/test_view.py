"""Nothing is labelled where nothing was imaged, and what the edge cuts is said to be in view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicom_sr.page import table_rows
from models.anatomy import words
from models.anatomy.pipeline import analyse, see
from models.anatomy.structures import Structure as S
from models.anatomy.view import view_of
from models.grid import Axis
from tests.models.anatomy.looks import SHAPE, Trunk, block, of
from tests.models.anatomy.scene import grid_of

LIVER = (S.LIVER, block((80, 120), (20, 60), (20, 50)))
SPLEEN = (S.SPLEEN, block((60, 90), (60, 90), (90, 110)))


def circle() -> np.ndarray:
    """Outside a circle that cuts both sides of the trunk."""
    row, column = np.ogrid[: SHAPE[1], : SHAPE[2]]
    beyond = (row - 54.5) ** 2 + (column - 64.5) ** 2 > 54.5**2
    return np.broadcast_to(beyond, SHAPE).copy()


def test_nothing_is_labelled_in_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    # Arms are left where the network sees them, also where the images hold no tissue.
    trunk = Trunk(
        [LIVER, SPLEEN], padding=circle(), seen=[(S.LIMB, block((0, 120), (30, 80), (0, 9)))]
    )
    _, labels = trunk.arrays()
    assert (labels[circle()] == S.LIMB).any()
    assert not trunk.anatomy(monkeypatch).labels[circle()].any()


def test_no_segment_reaches_into_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Trunk([LIVER], padding=circle()).request(monkeypatch)
    anatomy = see(request)
    # Labels lie on voxels of their own; here these are all liver.
    (liver,) = (value for value, name in anatomy.names.items() if name == "liver")
    wide = replace(anatomy, labels=np.full_like(anatomy.labels, liver))
    findings = analyse(replace(request, anatomy=lambda: wide))
    assert findings.segments
    for segment in findings.segments:
        assert not np.asarray(segment.mask)[circle()].any()


def test_nothing_is_labelled_beyond_the_first_and_the_last_slice_or_the_border() -> None:
    grid = grid_of(np.full((10, 20, 30), 40.0, np.float32))
    axes = (
        Axis(start=-3.0, step=0.5, count=40),
        Axis(start=-2.0, step=1.0, count=30),
        Axis(start=-4.0, step=1.0, count=40),
    )
    seen = view_of(grid, None).on(axes)
    for axis, (points, count) in enumerate(zip(axes, grid.shape, strict=True)):
        at = points.positions()
        hit = seen.any(axis=tuple(k for k in range(3) if k != axis))
        assert np.array_equal(hit, (at >= -0.5) & (at <= count - 0.5))


def test_a_circle_is_found_also_where_no_padding_is_declared() -> None:
    hu = np.random.default_rng(0).normal(40, 10, (*SHAPE[:1], 100, 100)).astype(np.float32)
    row, column = np.ogrid[:100, :100]
    beyond = (row - 49.5) ** 2 + (column - 49.5) ** 2 > 48**2
    hu[:, beyond] = -1024.0
    seen = view_of(grid_of(hu), None).on_images()
    assert (seen[:, beyond]).mean() < 0.02
    assert (seen[:, ~beyond]).mean() > 0.99


def test_air_clipped_to_one_value_round_the_patient_is_no_edge() -> None:
    hu, _ = Trunk([]).arrays()
    hu[hu < -500] = -1024.0
    assert view_of(grid_of(hu), None).on_images().all()


def test_what_the_last_slice_cuts_is_in_view_in_report_page_and_legend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    findings = Trunk([LIVER, SPLEEN]).findings(monkeypatch)
    liver, spleen = of(findings, "Liver in view"), of(findings, "Spleen")
    assert liver.measurements[0].name == words.VOLUME_IN_VIEW
    assert spleen.measurements[0].name == words.VOLUME
    rows = {row.label for row in table_rows(findings)}
    assert {"Liver volume in view", "Spleen volume"} <= rows
    legends = {overlay.label for key in findings.key_images for overlay in key.overlays}
    assert {"Liver in view", "Spleen"} <= legends
    assert {segment.label for segment in findings.segments} >= {"Liver in view", "Spleen"}
    assert words.CUT in findings.limits


def test_what_no_edge_cuts_is_whole_and_nothing_is_said_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    findings = Trunk([SPLEEN]).findings(monkeypatch)
    assert [one.tracking_identifier for one in findings.findings] == ["Spleen"]
    assert words.CUT not in findings.limits


def test_what_the_circle_or_the_border_of_the_image_cuts_is_in_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside = (S.LIVER, block((40, 80), (35, 75), (8, 50)))
    assert Trunk([beside]).anatomy(monkeypatch).cut == ("body",)
    assert "liver" in Trunk([beside], padding=circle()).anatomy(monkeypatch).cut


def test_a_vertebra_that_the_first_slice_cuts_is_told_to_other_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    low = (S.L4, block((0, 12), (62, 78), (55, 75)))
    disc = (S.DISC, block((12, 16), (62, 78), (55, 75)))
    bodies = [
        (level, block((16 + 18 * k, 30 + 18 * k), (62, 78), (55, 75)))
        for k, level in enumerate((S.L3, S.L2, S.L1))
    ]
    discs = [(S.DISC, block((30 + 18 * k, 34 + 18 * k), (62, 78), (55, 75))) for k in range(2)]
    anatomy = Trunk([low, disc, *bodies, *discs]).anatomy(monkeypatch)
    names = [anatomy.names[one.value] for one in anatomy.vertebrae]
    assert len(names) == 4
    assert names[0] in anatomy.cut
    assert not set(names[1:]) & set(anatomy.cut)
