"""Slides without code: regions, objects and a score, at their true places and areas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.builtin import words
from inference.builtin.pipeline import built_in
from inference.builtin.slide_tiles import plan_tiles
from inference.builtin.tissue import tissue_of
from models.manifest import NetworkSpec, TensorSpec, Windows
from models.manifest_results import TileReading
from node.domain.errors import ModelError
from node.domain.finding import Findings, Status
from tests.inference.builtin.examples import NETWORKS, manifest
from tests.inference.builtin.slides import DARK, GLASS, RED, PaintedSlide, looked_at, painted

#: 600 x 900 pixels of half a micrometre.
TISSUE_MM2 = 0.3 * 0.45


def measured(findings: Findings, name: object) -> float:
    (value,) = (m.value for m in findings.exam_measurements if m.name == name)
    return value


def test_tissue_is_found_by_its_stain() -> None:
    base = painted()
    base[400:420, 500:520] = GLASS  # a hole of 100 um2
    base[50:60, 50:60] = RED  # a speck of 25 um2
    found = tissue_of(PaintedSlide(base))
    assert found.area_mm2 == pytest.approx(TISSUE_MM2, rel=0.03)
    assert not found.mask[: 90 // 8].any()


def test_pale_tissue_and_no_glass_is_looked_at() -> None:
    slide = PaintedSlide(painted())
    spec = a_network_of_tiles()
    plan = plan_tiles(slide, spec, TileReading(mpp_um=1.0))
    assert plan.level == 1
    # 300 x 450 pixels of one micrometre in tiles of 32.
    assert len(plan.places) == pytest.approx(10.4 * 15.1, rel=0.1)
    everything = plan_tiles(slide, spec, TileReading(mpp_um=1.0, tissue="all"))
    assert len(everything.places) == 16 * 24


def a_network_of_tiles() -> NetworkSpec:
    tensor = TensorSpec(name="image", count=3)
    return NetworkSpec(
        name="tile",
        path=NETWORKS / "tile.onnx",
        sha256="",
        inputs=(tensor,),
        outputs=(tensor,),
        patch=(32, 32),
        spacing_mm=(0.001, 0.001),
        value_range=(0, 255),
        windows=Windows(),
        tolerance={},
    )


def test_a_region_is_outlined_and_its_area_is_in_square_micrometres(tmp_path: Path) -> None:
    base = painted()
    # On the raster of the tiles: 64 pixels of half a micrometre are one tile.
    base[320:512, 640:896] = RED
    findings = looked_at(manifest("tiles", tmp_path), PaintedSlide(base))
    assert findings.status is Status.FINDINGS
    (finding,) = findings.findings
    (contour,) = finding.contours
    assert contour.points.tolist() == [[640, 320], [896, 320], [896, 512], [640, 512]]
    area, certainty = finding.measurements
    assert area.unit == words.UM2
    assert area.value == pytest.approx(96 * 128)
    assert certainty.value > 99
    assert measured(findings, words.TISSUE_AREA) == pytest.approx(TISSUE_MM2, rel=0.03)
    assert findings.exam_evaluations[0].value == words.PRESENT
    assert findings.key_images[0].overlays[0].mask.any()


def test_regions_are_told_apart_and_small_ones_are_left_out(tmp_path: Path) -> None:
    base = painted()
    base[320:384, 384:448] = RED  # one tile, 0.001 mm2
    base[512:640, 640:768] = RED  # four tiles
    findings = looked_at(manifest("tiles", tmp_path), PaintedSlide(base))
    (finding,) = findings.findings
    assert finding.measurements[0].value == pytest.approx(64**2)


def test_a_slide_without_what_is_looked_for_says_absent(tmp_path: Path) -> None:
    findings = looked_at(manifest("tiles", tmp_path), PaintedSlide(painted()))
    assert findings.status is Status.NO_FINDINGS
    assert findings.exam_evaluations[0].value == words.ABSENT
    assert measured(findings, words.REGION_PART) == 0.0


@pytest.mark.parametrize(
    ("slide", "reason"),
    [
        (PaintedSlide(painted(), mpp_um=2.0), "the slide was scanned at 2.00 um a pixel"),
        (PaintedSlide(np.full((640, 640, 3), 244, np.uint8)), "no tissue was found on the slide"),
    ],
)
def test_a_slide_that_is_too_coarse_or_empty_is_not_eligible(
    tmp_path: Path, slide: PaintedSlide, reason: str
) -> None:
    findings = looked_at(manifest("tiles", tmp_path), slide)
    assert findings.status is Status.NOT_ELIGIBLE
    assert findings.reason.startswith(reason)


def test_a_slide_of_too_many_tiles_is_refused_before_any_is_read(tmp_path: Path) -> None:
    def few(text: str) -> str:
        return text.replace("least_tissue: 0.1,", "least_tissue: 0.1, at_most: 20,")

    slide = PaintedSlide(painted())
    findings = looked_at(manifest("tiles", tmp_path, few), slide)
    assert "the model reads 20 at most" in findings.reason


@pytest.mark.parametrize("stated", [(), ("DAB", "Hematoxylin")])
def test_a_slide_of_another_stain_or_of_none_is_not_eligible(
    tmp_path: Path, stated: tuple[str, ...]
) -> None:
    slide = PaintedSlide(painted())
    slide.stains = stated
    findings = looked_at(manifest("tiles", tmp_path), slide)
    assert findings.status is Status.NOT_ELIGIBLE
    assert "the slide does not state the stain" in findings.reason
    assert "Eosin" in findings.reason


def test_a_slide_is_never_read_whole(tmp_path: Path) -> None:
    slide = PaintedSlide(painted(2048, 2048))
    looked_at(manifest("tiles", tmp_path), slide)
    base = slide.levels[0]
    assert slide.largest_read <= base.columns * base.rows / 4


@pytest.mark.parametrize("mpp_um", [0.5, 0.25, 0.4])
def test_objects_are_counted_once_wherever_the_tiles_meet(tmp_path: Path, mpp_um: float) -> None:
    scale = 1.0 / mpp_um
    side = round(4 * scale)
    base = painted(round(512 * scale), round(640 * scale))
    base[...] = GLASS
    rng = np.random.default_rng(4)
    cells = {(int(row), int(column)) for row, column in rng.integers(0, [120, 150], (60, 2))}
    apart = [
        cell
        for cell in sorted(cells)
        if all(max(abs(cell[0] - o[0]), abs(cell[1] - o[1])) > 1 for o in cells if o != cell)
    ]
    for row, column in apart:
        top, left = round(row * 4 * scale), round(column * 4 * scale)
        base[top : top + side, left : left + side] = DARK
    slide = PaintedSlide(base, mpp_um=mpp_um, factors=(1, 4))
    findings = looked_at(manifest("cells", tmp_path), slide)
    assert len(apart) > 20
    assert measured(findings, words.OBJECTS) == len(apart)
    area = (512 * 640) / 1e6
    density = measured(findings, words.OBJECT_DENSITY)
    assert density == pytest.approx(len(apart) / area, rel=0.15)
    assert len(findings.findings) == 10
    places = {(round(r * 4 * scale), round(c * 4 * scale)) for r, c in apart}
    for finding in findings.findings:
        left, top = finding.contours[0].points.min(axis=0)
        assert min(abs(top - r) + abs(left - c) for r, c in places) <= 2 * scale


def test_the_score_of_a_slide_rests_on_its_reddest_tiles(tmp_path: Path) -> None:
    base = painted()
    base[320:512, 640:896] = RED
    stated = manifest("attention_mil", tmp_path)
    findings = looked_at(stated, PaintedSlide(base))
    assert findings.status is Status.FINDINGS
    assert findings.exam_measurements[0].value > 99
    overview, first, *_ = findings.key_images
    assert "hold half of the attention" in overview.caption
    marked = overview.overlays[0].mask
    rows, columns = np.nonzero(marked)
    height, width = marked.shape
    assert 320 / 1024 * height - 1 <= rows.min()
    assert rows.max() <= 512 / 1024 * height
    assert 640 / 1536 * width - 1 <= columns.min()
    assert columns.max() <= 896 / 1536 * width
    assert first.caption.startswith("Tile 1 by attention")
    # Luminance of pure red.
    assert first.pixels.mean() == pytest.approx(0.299 * 255 + 0.701 * 10, abs=1)
    pale = looked_at(stated, PaintedSlide(painted()))
    assert pale.exam_measurements[0].value == pytest.approx(50, abs=0.5)


def test_every_tile_counts_once_in_the_attention(tmp_path: Path) -> None:
    findings = looked_at(manifest("attention_mil", tmp_path), PaintedSlide(painted()))
    # All tiles are alike: half of the attention is half of the tiles.
    held, _, total, *_ = findings.key_images[0].caption.split()
    assert int(held) == pytest.approx(int(total) / 2, abs=2)


def test_a_node_that_opens_no_slides_says_so_when_the_package_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="looks at slides, which this version of the node"):
        built_in(manifest("tiles", tmp_path))
