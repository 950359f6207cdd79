"""The whole package, with its own network, on drawn spines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from inference.engine import EngineOptions, open_network
from inference.golden import check_golden
from models.manifest import ModelManifest
from models.phantoms.fractures import Deformity
from models.registry import load_manifest
from models.vertebral_fractures import pipeline
from models.vertebral_fractures import vocabulary as say
from models.vertebral_fractures.frames import Own
from models.vertebral_fractures.measuring import IS_CUT, NOT_APART, Looked, Unmeasured, is_whole
from models.vertebral_fractures.metal import DENSE
from models.vertebral_fractures.pipeline import analyse
from models.vertebral_fractures.spine import Place
from node.domain.acute import observe
from node.domain.anatomy import LEVELS as FROM_L5
from node.domain.errors import ModelError
from node.domain.finding import Finding, Findings, Status
from node.domain.imaging import Network
from tests.models.vertebral_fractures.toy import LEVELS, Toy, change, known_between, request

PACKAGE = Path(__file__).resolve().parents[3] / "models" / "vertebral_fractures"
WEDGE = {"T12": change(Deformity.WEDGE, 0.42)}


@pytest.fixture(scope="module")
def manifest() -> ModelManifest:
    return load_manifest(PACKAGE)


@pytest.fixture(scope="module")
def networks(manifest: ModelManifest) -> Mapping[str, Network]:
    return {spec.name: open_network(spec, EngineOptions()) for spec in manifest.networks}


@pytest.fixture(scope="module")
def sound(manifest: ModelManifest, networks: Mapping[str, Network]) -> Findings:
    return analyse(request(Toy(wrong={}), manifest, networks))


@pytest.fixture(scope="module")
def wedge(manifest: ModelManifest, networks: Mapping[str, Network]) -> Findings:
    return analyse(request(Toy(wrong=WEDGE), manifest, networks))


def heights(finding: Finding) -> list[float]:
    return [m.value for m in finding.measurements if m.name == say.HEIGHT]


def number(finding: Finding, name: object) -> float:
    return next(m.value for m in finding.measurements if m.name == name)


def of(findings: Findings, level: str) -> Finding:
    return next(f for f in findings.findings if f.tracking_identifier == f"Vertebra {level}")


def answer(findings: Findings, name: object) -> object:
    return next(e.value for e in findings.exam_evaluations if e.name == name)


def test_golden_case_is_reproduced(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    assert [proof.network for proof in check_golden(manifest, networks)] == ["outline"]


def test_six_heights_of_every_sound_body_are_right_and_nobody_is_called(
    sound: Findings, manifest: ModelManifest
) -> None:
    assert sound.status is Status.NO_FINDINGS
    assert len(sound.findings) == len(LEVELS)
    for level, shape in Toy(wrong={}).shapes.items():
        assert heights(of(sound, level)) == pytest.approx(shape.heights(), abs=1.5)
    assert answer(sound, say.FRACTURE) == say.ABSENT
    (seen,) = observe(sound, manifest.acute, manifest.thresholds)
    assert not seen.counts


def test_a_wedge_fracture_is_found_graded_and_told_to_somebody(
    wedge: Findings, manifest: ModelManifest
) -> None:
    assert wedge.status is Status.FINDINGS
    finding = of(wedge, "T12")
    assert finding.finding == say.FRACTURE
    assert heights(finding) == pytest.approx(Toy(wrong=WEDGE).shapes["T12"].heights(), abs=1.8)
    words = next(e.value for e in finding.evaluations if e.name == say.GENANT)
    assert "wedge" in str(words)
    assert answer(wedge, say.FRACTURE) == say.PRESENT
    others = [f for f in wedge.findings if f is not finding]
    assert all(f.finding == say.MEASURED for f in others)
    (seen,) = observe(wedge, manifest.acute, manifest.thresholds)
    assert seen.counts


@pytest.mark.parametrize(
    ("deformity", "word"), [(Deformity.BICONCAVE, "biconcave"), (Deformity.CRUSH, "crush")]
)
def test_the_shape_of_the_loss_is_named(
    deformity: Deformity, word: str, manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    toy = Toy(wrong={"L2": change(deformity, 0.45)})
    finding = of(analyse(request(toy, manifest, networks)), "L2")
    assert finding.finding == say.FRACTURE
    words = next(e.value for e in finding.evaluations if e.name == say.GENANT)
    assert word in str(words)


def test_spongy_bone_is_read_within_a_few_units_and_the_phase_is_named(sound: Findings) -> None:
    assert number(of(sound, "L1"), say.ATTENUATION) == pytest.approx(150, abs=8)
    told = str(answer(sound, say.BONE))
    assert told.startswith("L1 ")
    assert "without contrast medium" in told


def test_the_contours_and_all_six_points_lie_on_source_images(wedge: Findings) -> None:
    toy = Toy(wrong=WEDGE)
    finding = of(wedge, "T12")
    points = [c for c in finding.contours if c.is_point]
    assert len(points) == 6
    assert sum(not c.is_point for c in finding.contours) == 1
    middle = toy.middles["T12"]
    for contour in points:
        x, y = (contour.points[0] - 0.5) * toy.pixel_mm
        assert abs(x - middle[0]) < 4
        assert abs(y - middle[1]) < 24
        assert abs(contour.plane.position_mm[2] - middle[2]) < 20
    (segment,) = [s for s in wedge.segments if s.label == "Vertebral body T12"]
    mask = np.asarray(segment.mask)
    ml = mask.sum() * toy.pixel_mm**2 * toy.slice_mm / 1000
    assert 8 < ml < 30


def test_a_level_without_an_anchor_is_counted_and_never_guessed(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    found = analyse(request(Toy(wrong={}, named=False), manifest, networks))
    names = [f.tracking_identifier for f in found.findings]
    assert names[:3] == ["Vertebra lowest seen", "Vertebra 2nd from below",
                         "Vertebra 3rd from below"]  # fmt: skip
    assert all(f.site == say.BODY for f in found.findings)
    assert "uncertain" in str(answer(found, say.LEVELS_FIXED))
    assert found.exam_measurements == ()


def test_metal_and_cuts_are_named_with_the_body_that_they_hide(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    toy = Toy(wrong={}, metal=("L2",), bottom=42.0)
    found = analyse(request(toy, manifest, networks))
    assert found.status is Status.PARTIAL
    assert found.reason == "not measured: L2: metal or cement lies in it"
    told = str(answer(found, say.NOT_MEASURED))
    assert "L4: it is cut by the edge of the images" in told
    assert answer(found, say.FRACTURE) == say.INDETERMINATE


def test_a_body_that_padding_cuts_askew_is_cut_and_no_fracture(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    toy = Toy(wrong={})
    top = max(LEVELS, key=lambda level: toy.middles[level][2])
    _, y, z = toy.axes
    # What a resampled image of a leant gantry has above: the border crosses the highest body.
    middle = toy.middles[top]
    beyond = z + np.zeros_like(toy.hu) > middle[2] + 4.0 + 0.3 * (y - middle[1])
    padded = np.where(beyond, -1000, toy.hu).astype(np.int16)
    object.__setattr__(toy, "hu", padded)
    found = analyse(request(toy, manifest, networks))
    assert top not in {f.tracking_identifier.removeprefix("Vertebra ") for f in found.findings}
    assert f"{top}: it is cut by the edge of the images" in str(answer(found, say.NOT_MEASURED))
    assert answer(found, say.FRACTURE) == say.ABSENT, (
        found.reason,
        answer(found, say.NOT_MEASURED),
    )


@pytest.mark.parametrize(("known", "where"), [((0.0, 158.0), "above"), ((128.0, 400.0), "below")])
def test_vertebrae_that_nobody_recognised_leave_the_answer_open(
    known: tuple[float, float],
    where: str,
    manifest: ModelManifest,
    networks: Mapping[str, Network],
) -> None:
    toy = Toy(wrong={}, levels=(*LEVELS, "T9"), named=False)
    anatomy = known_between(toy.anatomy(), *known)
    found = analyse(request(toy, manifest, networks, anatomy=anatomy))
    assert 4 <= len(found.findings) < 8
    assert found.status is Status.PARTIAL
    assert f"{where} " in found.reason
    assert "none was recognised" in found.reason
    assert answer(found, say.FRACTURE) == say.INDETERMINATE
    assert "none was recognised" in str(answer(found, say.NOT_MEASURED))


def test_three_measured_bodies_have_heights_and_neither_grade_nor_answer(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    toy = Toy(wrong={"L2": change(Deformity.WEDGE, 0.5)}, levels=LEVELS[:4], metal=("L3",))
    found = analyse(request(toy, manifest, networks))
    assert found.status is Status.PARTIAL
    assert "only 3 vertebral bodies could be measured; at least 4" in found.reason
    assert "L3: metal or cement" in found.reason
    assert [f.finding for f in found.findings] == [say.UNGRADED] * 3
    for finding in found.findings:
        assert len(heights(finding)) == 3
        names = {m.name for m in finding.measurements}
        assert not names & {say.LOSS, say.CERTAINTY}
        assert next(e.value for e in finding.evaluations if e.name == say.GENANT) == "not graded"
    assert answer(found, say.FRACTURE) == say.INDETERMINATE
    (seen,) = observe(found, manifest.acute, manifest.thresholds)
    assert not seen.present


def test_a_spine_full_of_metal_is_not_eligible(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    toy = Toy(wrong={}, levels=LEVELS[:4], metal=LEVELS[:4])
    found = analyse(request(toy, manifest, networks))
    assert found.status is Status.NOT_ELIGIBLE
    assert found.reason.startswith(
        "none of the 4 vertebral bodies in view could be measured: metal"
    )
    assert not found.exam_evaluations


@pytest.mark.parametrize("turn", [36.0, 46.0])
def test_a_bent_and_turned_spine_is_measured_in_its_own_planes_or_named(
    turn: float, manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    toy = Toy(wrong={}, levels=LEVELS[:5], bend=0.25, turn=float(np.radians(turn)))
    found = analyse(request(toy, manifest, networks))
    if turn > 40:
        assert found.findings == ()
        assert found.status is Status.NOT_ELIGIBLE
        assert found.reason.startswith("none of the 5 vertebral bodies in view could be measured")
        assert "so bent or turned" in found.reason
        return
    assert len(found.findings) == 5
    for finding in found.findings:
        level = finding.tracking_identifier.removeprefix("Vertebra ")
        assert heights(finding) == pytest.approx(toy.shapes[level].heights(), abs=1.8)


def test_fractures_come_first_and_are_named_before_all_else(
    wedge: Findings, manifest: ModelManifest
) -> None:
    assert wedge.findings[0].tracking_identifier == "Vertebra T12"
    assert [f.tracking_identifier for f in wedge.findings[1:3]] == ["Vertebra L4", "Vertebra L3"]
    first, second = wedge.exam_evaluations[:2]
    assert (first.name, first.value) == (say.FRACTURE, say.PRESENT)
    assert second.name == say.FRACTURES
    assert str(second.value).startswith("T12: ")
    assert "wedge" in str(second.value)
    # The segment and the picture of a fracture are still its own.
    segment = next(s for s in wedge.segments if s.number == wedge.findings[0].segment_number)
    assert segment.label == "Vertebral body T12"
    assert segment.colour == say.FRACTURE_COLOUR


def test_an_alert_names_the_level_that_calls_or_its_place(
    wedge: Findings, manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    (seen,) = observe(wedge, manifest.acute, manifest.thresholds)
    assert seen.where == "Vertebra T12"
    unnamed = analyse(request(Toy(wrong=WEDGE, named=False), manifest, networks))
    (seen,) = observe(unnamed, manifest.acute, manifest.thresholds)
    assert seen.counts
    assert seen.where == "Vertebra 5th from below"


def test_a_body_below_l5_is_named_and_leaves_the_answer_open(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    toy = Toy(wrong={})
    seen = toy.anatomy()
    shifted = {LEVELS[k + 1]: FROM_L5[k] for k in range(len(LEVELS) - 1)}
    counted = replace(
        seen,
        vertebrae=tuple(
            replace(one, level=shifted[one.level]) for one in seen.vertebrae if one.level in shifted
        ),
    )
    found = analyse(request(toy, manifest, networks, anatomy=counted))
    assert "Vertebra lowest seen" not in {f.tracking_identifier for f in found.findings}
    assert of(found, "L5").finding == say.MEASURED
    assert found.status is Status.PARTIAL
    told = "below L5 a body was seen that the count of the levels makes sacrum"
    assert told in found.reason
    assert told in str(answer(found, say.NOT_MEASURED))
    assert answer(found, say.FRACTURE) == say.INDETERMINATE


def test_a_spine_of_which_no_second_look_sees_anything_is_not_eligible_with_the_reason(
    manifest: ModelManifest, networks: Mapping[str, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sees_nothing(
        _grid: object, _network: object, looked: Sequence[Looked], _numbers: object
    ) -> list[Looked]:
        return [Unmeasured(place=one.place, reason="it is not seen clearly") for one in looked]

    monkeypatch.setattr(pipeline, "look_again", sees_nothing)
    found = analyse(request(Toy(wrong=WEDGE), manifest, networks))
    assert found.status is Status.NOT_ELIGIBLE
    assert "could be measured: it is not seen clearly" in found.reason


def test_three_vertebrae_are_too_few(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    found = analyse(request(Toy(wrong={}, levels=LEVELS[:3]), manifest, networks))
    assert found.status is Status.NOT_ELIGIBLE
    assert "3 whole vertebral bodies" in found.reason


def test_five_millimetre_slices_are_measured_with_their_loss_stated(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    toy = Toy(wrong={}, slice_mm=5.0)
    found = analyse(request(toy, manifest, networks))
    # Possible losses may be told on thick slices; nobody is called.
    assert answer(found, say.FRACTURE) != say.PRESENT
    assert "less exact" in found.limits[0]
    assert "87 % were called on slices of 5 mm, 95 % on slices up to 3 mm" in found.limits[0]
    errors = [
        abs(mine - true)
        for finding in found.findings
        for mine, true in zip(
            heights(finding),
            toy.shapes[finding.tracking_identifier.removeprefix("Vertebra ")].heights(),
            strict=True,
        )
    ]
    assert len(errors) >= 15
    assert np.mean(errors) < 2.0


def test_contrast_medium_is_read_from_the_aorta(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    found = analyse(request(Toy(wrong={}, aorta_hu=220.0), manifest, networks))
    assert "with contrast medium (aorta 2" in str(answer(found, say.BONE))


def test_pixels_without_bone_and_a_missing_anatomy_are_refused(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    asked = request(Toy(wrong={}), manifest, networks)
    shifted = replace(
        asked, volume=replace(asked.volume, voxels=np.clip(asked.volume.voxels, -1000, 90))
    )
    refused = analyse(shifted)
    assert refused.status is Status.NOT_ELIGIBLE
    assert "no bone" in refused.reason
    with pytest.raises(ModelError, match="anatomy"):
        analyse(replace(asked, anatomy=None))


def test_the_pages_show_the_points_the_names_and_the_sides(wedge: Findings) -> None:
    spine = wedge.key_images[0]
    assert spine.edges[2:] == ("H", "F")
    words = [note[2] for note in spine.notes]
    assert any(w.startswith("T12: ") and "wedge" in w for w in words)
    assert {"L1", "A", "P"} <= set(words)
    fracture = next(o for o in spine.overlays if o.colour == say.FRACTURE_COLOUR)
    assert fracture.mask.any()
    own = [k for k in wedge.key_images if k.tracking_uid == of(wedge, "T12").tracking_uid]
    assert [k.edges for k in own] == [("A", "P", "H", "F"), ("R", "L", "A", "P")]


def test_a_crush_beside_a_body_with_metal_calls_without_a_level(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    wrong = {"L2": change(Deformity.CRUSH, 0.42)}
    found = analyse(request(Toy(wrong=wrong, named=False, metal=("L3",)), manifest, networks))
    assert found.status is Status.PARTIAL
    assert "2nd from below: metal or cement lies in it" in found.reason
    assert of(found, "3rd from below").finding == say.FRACTURE
    assert answer(found, say.FRACTURE) == say.PRESENT


def test_what_the_images_cut_and_what_is_not_told_apart_is_no_whole_body() -> None:
    place = Place(number=0, level="", own=cast(Own, None))
    assert not is_whole(Unmeasured(place=place, reason=IS_CUT))
    assert not is_whole(Unmeasured(place=place, reason=NOT_APART))
    assert is_whole(Unmeasured(place=place, reason=DENSE))
