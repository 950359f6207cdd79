"""One job a model on its best series; the same work asked twice is the same job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from node.domain.study import CompletedStudy
from node.pipeline.eligibility import judge
from node.pipeline.routing import ModelRoute, PlannedJob, route
from tests.node import words

RULE = ModelRoute(
    manifest=words.manifest(),
    priority=50,
    destinations=("pacs",),
    report_not_eligible=False,
    configuration_digest="c",
)


def planned(
    study: CompletedStudy, rule: ModelRoute = RULE, current: Mapping[str, str] | None = None
) -> tuple[PlannedJob, ...]:
    verdicts = [judge(series, study.patient, rule.manifest) for series in study.series]
    return route(study, verdicts, [rule], current_results=current or {})


def test_best_series_comes_first_and_the_other_is_its_substitute() -> None:
    short = words.series("2", geometry=words.geometry(extent_mm=100.0))
    long = words.series("1")
    (item,) = planned(words.study(short, long))
    assert item.job.candidates == (long.series_uid, short.series_uid)


def test_unfit_study_gets_no_job_and_no_report_unless_the_site_wants_one() -> None:
    study = words.study(words.series(modality="MR"))
    assert planned(study) == ()
    (item,) = planned(study, replace(RULE, report_not_eligible=True))
    assert item.report_reason == "modality MR; the model reads CT"


def test_result_whose_input_became_unfit_is_replaced_by_a_report() -> None:
    study = words.study(words.series(unreadable=1))
    (item,) = planned(study, current={"body_composition": "earlier"})
    assert item.job.predecessor == "earlier"
    assert "cannot be read" in item.report_reason


def test_same_input_is_the_same_job_and_another_generation_does_not_change_it() -> None:
    first = planned(words.study())[0].job
    again = planned(words.study(generation=2))[0].job
    assert first.key == again.key


def test_late_image_model_or_configuration_make_another_job() -> None:
    key = planned(words.study())[0].job.key
    longer = planned(words.study(words.series(slices=61)))[0].job.key
    configured = planned(words.study(), replace(RULE, configuration_digest="d"))[0].job.key
    identity = replace(RULE.manifest.identity, digest="e" * 64)
    newer = replace(RULE, manifest=replace(RULE.manifest, identity=identity))
    assert len({key, longer, configured, planned(words.study(), newer)[0].job.key}) == 4


def test_rerun_makes_another_job_of_the_same_input() -> None:
    study = words.study()
    verdicts = [judge(series, study.patient, RULE.manifest) for series in study.series]
    keys = {
        route(study, verdicts, [RULE], current_results={}, reruns=reruns)[0].job.key
        for reruns in (0, 1, 2)
    }
    assert len(keys) == 3


def test_study_that_no_rule_sends_to_the_model_gets_no_job_and_no_report() -> None:
    unrouted = replace(RULE, unrouted="the study has no CT", report_not_eligible=True)
    assert planned(words.study(words.series(modality="MR")), unrouted) == ()
