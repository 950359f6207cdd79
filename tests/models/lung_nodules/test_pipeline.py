"""The whole package, with its own networks, on a drawn chest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inference.engine import EngineOptions, open_network
from inference.golden import check_golden
from models.lung_nodules import pipeline
from models.lung_nodules import vocabulary as say
from models.lung_nodules.again import Again
from models.lung_nodules.candidates import Candidate, find_candidates
from models.lung_nodules.pipeline import analyse
from models.manifest import ModelManifest
from models.registry import load_manifest
from node.domain.analysis import AnalysisRequest
from node.domain.errors import ModelError
from node.domain.finding import Finding, Findings, Status
from node.domain.imaging import Network, Volume
from node.domain.study import ClassUID, Patient, Series
from tests.models.thorax.chest import Chest, airless_right, lesion

PACKAGE = Path(__file__).resolve().parents[3] / "models" / "lung_nodules"
PLACE, RADIUS = (10.0, 10.0, -80.0), 6.0


@pytest.fixture(scope="module")
def manifest() -> ModelManifest:
    return load_manifest(PACKAGE)


@pytest.fixture(scope="module")
def networks(manifest: ModelManifest) -> Mapping[str, Network]:
    return {spec.name: open_network(spec, EngineOptions()) for spec in manifest.networks}


def run(manifest: ModelManifest, networks: Mapping[str, Network], volume: Volume) -> Findings:
    return analyse(
        AnalysisRequest(
            volume=volume,
            series=Series(
                study_uid=volume.study_uid,
                series_uid=volume.series_uid,
                modality="CT",
                sop_class_uid=ClassUID("1.2.840.10008.5.1.4.1.1.2"),
                instances=(SimpleNamespace(),),
                planes=volume.planes,
            ),
            patient=Patient(),
            model=manifest.identity,
            networks=networks,
            thresholds=manifest.thresholds,
        )
    )


def chest(**given: object) -> Chest:
    return Chest(bottom=-40.0, top=60.0, slice_mm=1.6, **given)  # type: ignore[arg-type]


def number(finding: Finding, name: object) -> float:
    return next(m.value for m in finding.measurements if m.name == name)


@pytest.fixture(scope="module")
def plain(manifest: ModelManifest, networks: Mapping[str, Network]) -> Findings:
    return run(manifest, networks, chest(paint=(lesion(PLACE, RADIUS),)).volume())


def test_golden_case_is_reproduced(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    proofs = check_golden(manifest, networks)
    assert {proof.network for proof in proofs} == {"detector", "refiner", "contour"}


def test_a_nodule_is_found_measured_and_named(plain: Findings) -> None:
    assert plain.status is Status.FINDINGS
    finding = plain.findings[0]
    assert finding.laterality == say.RIGHT
    assert number(finding, say.DIAMETER) == pytest.approx(2 * RADIUS, abs=1.5)
    assert number(finding, say.VOLUME) == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.25)
    assert number(finding, say.CERTAINTY) > 50
    answers = {e.name: e.value for e in finding.evaluations}
    assert answers[say.COMPOSITION] == "solid"
    assert str(answers[say.LUNG_RADS]).startswith("Lung-RADS 4A")
    plane = finding.contours[0].plane
    assert plane.position_mm[2] == pytest.approx(PLACE[0], abs=3.0)


def test_contour_segment_and_pictures_belong_together(plain: Findings) -> None:
    finding = plain.findings[0]
    segment = plain.segments[0]
    assert segment.tracking_uid == finding.tracking_uid
    assert segment.mask.shape[0] == len(plain.segmented_planes)
    volume_mm3 = float(np.asarray(segment.mask).sum()) * 1.6**3
    assert volume_mm3 == pytest.approx(number(finding, say.VOLUME), rel=0.2)
    own = [key for key in plain.key_images if key.tracking_uid == finding.tracking_uid]
    assert len(own) == 4
    assert own[0].plane == finding.contours[0].plane


class Blind:
    """A contour network that draws nothing."""

    def run(self, image: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return {"mask": np.full(image["image"].shape, -9.0, np.float32)}


def test_the_veil_of_a_small_part_solid_nodule_is_measured(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    paint = (lesion(PLACE, 3.6, -500.0), lesion(PLACE, 2.0, 20.0))
    volume = chest(paint=paint).volume()
    (finding,) = run(manifest, networks, volume).findings
    (poorer,) = run(manifest, {**networks, "contour": Blind()}, volume).findings  # type: ignore[dict-item]
    true = 4 / 3 * np.pi * 3.6**3
    assert number(finding, say.VOLUME) == pytest.approx(true, rel=0.3)
    assert number(poorer, say.VOLUME) < 0.8 * number(finding, say.VOLUME)
    assert {e.name: e.value for e in finding.evaluations}[say.COMPOSITION] == "part-solid"


@pytest.mark.parametrize("flips", [(True, False, False), (False, True, True)])
def test_feet_first_and_prone_give_the_same_nodule_on_the_same_side(
    plain: Findings,
    manifest: ModelManifest,
    networks: Mapping[str, Network],
    flips: tuple[bool, bool, bool],
) -> None:
    volume = chest(paint=(lesion(PLACE, RADIUS),)).volume(flips)
    turned = run(manifest, networks, volume)
    first, second = plain.findings[0], turned.findings[0]
    assert second.laterality == first.laterality
    assert number(second, say.DIAMETER) == pytest.approx(number(first, say.DIAMETER), abs=0.5)
    index = volume.planes.index(second.contours[0].plane)
    slot = turned.segmented_planes.index(second.contours[0].plane)
    inside = volume.voxels[index][np.asarray(turned.segments[0].mask)[slot]]
    assert float(np.median(inside)) == pytest.approx(40.0, abs=25.0)


def test_a_collapsed_lung_is_never_called_clear(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    """Two thirds of the right lung without air, as a tumour that is joined to the mediastinum."""
    collapse = lesion((10.0, 5.0, -62.0), 55.0)
    findings = run(manifest, networks, chest(paint=(collapse,)).volume())
    assert findings.status is Status.PARTIAL
    assert "the right lung holds much less air than the left one" in findings.reason
    answers = {e.name: e.value for e in findings.exam_evaluations}
    assert answers[say.NODULE] != say.ABSENT
    assert "1 (v2022)" not in str(answers.get(say.LUNG_RADS, ""))


def test_a_mass_joined_to_the_mediastinum_is_told_as_a_possible_mass_with_its_doubts(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    joined = lesion((35.0, 5.0, -55.0), 34.0)
    findings = run(manifest, networks, Chest(slice_mm=2.5, paint=(joined,)).volume())
    masses = [one for one in findings.findings if one.finding == say.MASS]
    assert len(masses) == 1
    assert masses[0].laterality == say.RIGHT
    assert number(masses[0], say.DIAMETER) > 30
    answers = {e.name: e.value for e in findings.exam_evaluations}
    assert answers[say.MASS] == say.PRESENT
    if masses[0].tracking_identifier.startswith("Possible"):
        basis = next(e.value for e in masses[0].evaluations if e.name == say.BASIS)
        assert "a collapsed lobe or consolidation" in str(basis)


def test_a_lung_without_air_is_a_possible_mass_and_no_nodule_was_looked_for_there(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    volume = Chest(bottom=25.0, slice_mm=2.5, paint=(airless_right,)).volume()
    findings = run(manifest, networks, volume)
    (mass,) = findings.findings
    assert mass.tracking_identifier == "Possible mass 1"
    assert mass.laterality == say.RIGHT
    assert "no right lung with air is in view" in findings.reason
    assert any("no nodule was looked for there" in text for text in findings.limits)


def test_clean_lungs_give_absent(manifest: ModelManifest, networks: Mapping[str, Network]) -> None:
    findings = run(manifest, networks, Chest(slice_mm=2.5).volume())
    assert findings.status is Status.NO_FINDINGS
    answers = {e.name: e.value for e in findings.exam_evaluations}
    assert answers[say.NODULE] == say.ABSENT


def test_clean_lungs_that_are_cut_are_no_negative_answer_and_what_was_not_seen_is_said(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    findings = run(manifest, networks, chest().volume())
    assert findings.status is Status.PARTIAL
    assert findings.reason == "the lungs go on beyond the lowest and the highest slice"
    answers = {e.name: e.value for e in findings.exam_evaluations}
    assert answers[say.NODULE] == say.INDETERMINATE
    assert any("go on beyond the lowest and the highest slice" in text for text in findings.limits)
    assert len(findings.key_images) == 1


def test_a_large_tumour_is_reported_as_a_mass(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    volume = chest(paint=(lesion((10.0, 10.0, -80.0), 21.0),)).volume()
    findings = run(manifest, networks, volume)
    assert findings.findings[0].finding == say.MASS
    assert number(findings.findings[0], say.DIAMETER) == pytest.approx(42.0, rel=0.12)


def test_a_trunk_without_lung_is_not_eligible(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    findings = run(manifest, networks, Chest(lungs=False, slice_mm=3.0).volume())
    assert findings.status is Status.NOT_ELIGIBLE
    assert "no lung is in view" in findings.reason


def test_values_that_are_no_hounsfield_units_are_refused(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    volume = chest().volume()
    shifted = Volume(
        **{
            name: getattr(volume, name)
            for name in ("study_uid", "series_uid", "frame_of_reference_uid", "affine", "planes")
        },
        voxels=(volume.voxels + 1024).astype(np.int16),
        unit="HU",
    )
    findings = run(manifest, networks, shifted)
    assert findings.status is Status.NOT_ELIGIBLE
    assert "not Hounsfield units" in findings.reason


def test_a_missing_network_is_an_error_that_names_it(manifest: ModelManifest) -> None:
    with pytest.raises(ModelError, match="detector"):
        run(manifest, {}, chest().volume())


def test_places_beyond_those_that_are_looked_at_make_the_result_partial(
    manifest: ModelManifest, networks: Mapping[str, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MOST_CANDIDATES", 1)
    volume = chest(paint=(lesion(PLACE, RADIUS), lesion((10.0, 10.0, 80.0), RADIUS))).volume()
    findings = run(manifest, networks, volume)
    assert len(findings.findings) == 1
    assert findings.status is Status.PARTIAL
    assert "too many to be looked at closely" in findings.reason
    assert not any("highest of all" in str(e.value) for e in findings.exam_evaluations)


def test_a_nodule_that_is_not_listed_counts_in_the_answers_about_the_whole_scan(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    paint = (lesion(PLACE, RADIUS), lesion((10.0, 10.0, 80.0), 9.0))
    volume = Chest(slice_mm=2.0, paint=paint).volume()
    every = run(manifest, networks, volume)
    assert len(every.findings) == 2
    thresholds = {**manifest.thresholds, "most_listed": 1.0}
    one = run(replace(manifest, thresholds=thresholds), networks, volume)
    assert len(one.findings) == 1
    answers = [{e.name: e.value for e in f.exam_evaluations} for f in (every, one)]
    assert answers[0][say.LUNG_RADS] == answers[1][say.LUNG_RADS]
    assert answers[1][say.SMALL_ONES] == "1 more nodules are not listed"


@pytest.mark.parametrize(("from_percent", "told"), [(0.0, 0), (100.5, 1)])
def test_what_is_open_is_told_only_where_further_looks_see_it(
    manifest: ModelManifest,
    networks: Mapping[str, Network],
    monkeypatch: pytest.MonkeyPatch,
    from_percent: float,
    told: int,
) -> None:
    def unseen(*_: object) -> Again:
        return Again(np.full(8, -3.0), np.full(8, -3.0))

    monkeypatch.setattr(pipeline, "look_again", unseen)
    open_ones = {"again_from_percent": from_percent, "again_to_percent": 101.0}
    asked = replace(manifest, thresholds={**manifest.thresholds, **open_ones})
    findings = run(asked, networks, chest(paint=(lesion(PLACE, RADIUS),)).volume())
    assert len(findings.findings) == told
    # What is not told then is not passed over in silence.
    said = [limit for limit in findings.limits if limit.startswith("Not listed: 1 place ")]
    assert len(said) == 1 - told
    assert dict(findings.parameters)["likely at first, not when looked at again"] == str(1 - told)


@pytest.mark.parametrize(("joined", "told"), [(0.45, True), (0.35, False)])
def test_a_border_that_is_hardly_seen_is_told_with_the_size(
    manifest: ModelManifest,
    networks: Mapping[str, Network],
    monkeypatch: pytest.MonkeyPatch,
    joined: float,
    told: bool,
) -> None:
    monkeypatch.setattr(pipeline, "joined_share", lambda *_: joined)
    findings = run(manifest, networks, chest(paint=(lesion(PLACE, RADIUS),)).volume())
    said = [str(e.value) for e in findings.findings[0].evaluations if e.name == say.BORDER]
    assert bool(said) is told
    assert all("45 % of the surface" in words and "rough" in words for words in said)


def test_a_nodule_is_seen_in_further_looks_too(
    manifest: ModelManifest, networks: Mapping[str, Network]
) -> None:
    every = {"again_from_percent": 0.0, "again_to_percent": 101.0}
    asked = replace(manifest, thresholds={**manifest.thresholds, **every})
    findings = run(asked, networks, chest(paint=(lesion(PLACE, RADIUS),)).volume())
    assert len(findings.findings) == 1
    assert number(findings.findings[0], say.CERTAINTY) > 80


@pytest.mark.parametrize(("near_logit", "of_far"), [(3.0, False), (-6.0, True)])
def test_what_lies_far_outside_only_takes_the_place_of_what_is_not_told(
    manifest: ModelManifest,
    networks: Mapping[str, Network],
    monkeypatch: pytest.MonkeyPatch,
    near_logit: float,
    of_far: bool,
) -> None:
    def both(*asked: Any) -> list[Candidate]:
        one = find_candidates(*asked)[0]
        near = replace(one, logit=near_logit)
        return [replace(one, logit=9.0, is_far=True), near]

    monkeypatch.setattr(pipeline, "find_candidates", both)
    never_again = {"again_from_percent": 0.0, "again_to_percent": 0.0}
    asked = replace(manifest, thresholds={**manifest.thresholds, **never_again})
    findings = run(asked, networks, chest(paint=(lesion(PLACE, RADIUS),)).volume())
    assert len(findings.findings) == 1
    assert (number(findings.findings[0], say.CERTAINTY) > 99.9) is of_far
