"""One job a model on its best series; the same work asked twice is the same job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from node.domain.facts import StudyFacts
from node.pipeline.judging import judge_study
from node.pipeline.routing import ModelRoute, PlannedJob, route
from tests.node import words

RULE = ModelRoute(
    manifest=words.manifest(),
    rules=(words.rule(),),
    priority=50,
    report_not_eligible=False,
    configuration_digest="c",
)


def planned(
    study: StudyFacts,
    rule: ModelRoute = RULE,
    current: Mapping[str, str] | None = None,
    reruns: int = 0,
) -> tuple[PlannedJob, ...]:
    judgement = judge_study(study, rule.manifest, rule.rules)
    return route(study, [judgement], [rule], current_results=current or {}, reruns=reruns)


def routed(*routes: dict[str, Any], **changes: Any) -> ModelRoute:
    made = [words.rule(f"r{place}", place, **one) for place, one in enumerate(routes)]
    return replace(RULE, rules=tuple(made), **changes)


def test_best_series_comes_first_and_the_other_is_its_substitute() -> None:
    short = words.facts("2", coverage_mm=100.0)
    long = words.facts("1")
    (item,) = planned(words.study_facts(short, long))
    assert item.job.candidates == (long.stack_id, short.stack_id)


def test_unfit_study_gets_no_job_and_no_report_unless_the_site_wants_one() -> None:
    study = words.study_facts(words.facts(modality="MR"))
    assert planned(study) == ()
    (item,) = planned(study, replace(RULE, report_not_eligible=True))
    assert item.report_reason == "modality MR; the model reads CT"


def test_a_report_names_the_series_that_each_reason_is_about() -> None:
    study = words.study_facts(
        words.facts("1", modality="MR", series_number=3, series_description="T2"),
        words.facts("2", orientation="sagittal", series_number=4, stack=2, stacks=3),
    )
    (item,) = planned(study, replace(RULE, report_not_eligible=True))
    assert item.report_reason == (
        "none of 2 series qualifies: series 3 'T2': modality MR; the model reads CT; "
        "series 4, stack 2 of 3: sagittal images; the model reads axial images"
    )


def test_a_report_says_how_much_it_leaves_out() -> None:
    modalities = ("MR", "PT", "US", "NM", "XA", "CR")
    alike = [words.facts(f"9{n}", modality="MR", series_number=90 + n) for n in range(3)]
    others = [words.facts(str(n), modality=m, series_number=n) for n, m in enumerate(modalities)]
    study = words.study_facts(*others, *alike)
    (item,) = planned(study, replace(RULE, report_not_eligible=True))
    assert "none of 9 series qualifies: series 0, series 90, series 91 and 1 more: modality MR" in (
        item.report_reason
    )
    assert item.report_reason.endswith("and 2 other reasons")


def test_result_whose_input_became_unfit_is_replaced_by_a_report() -> None:
    study = words.study_facts(words.facts(unreadable=1))
    (item,) = planned(study, current={"body_composition": "earlier"})
    assert item.job.predecessor == "earlier"
    assert "cannot be read" in item.report_reason


def test_same_input_is_the_same_job_and_another_generation_does_not_change_it() -> None:
    first = planned(words.study_facts())[0].job
    again = planned(words.study_facts(generation=2))[0].job
    assert first.key == again.key


def test_late_image_model_or_configuration_make_another_job() -> None:
    key = planned(words.study_facts())[0].job.key
    longer = planned(words.study_facts(words.facts(digest="other")))[0].job.key
    configured = planned(words.study_facts(), replace(RULE, configuration_digest="d"))[0].job.key
    identity = replace(RULE.manifest.identity, digest="e" * 64)
    newer = replace(RULE, manifest=replace(RULE.manifest, identity=identity))
    assert len({key, longer, configured, planned(words.study_facts(), newer)[0].job.key}) == 4


def test_rerun_makes_another_job_of_the_same_input() -> None:
    study = words.study_facts()
    assert len({planned(study, reruns=reruns)[0].job.key for reruns in (0, 1, 2)}) == 3


def test_study_that_no_rule_sends_to_the_model_gets_no_job_and_no_report() -> None:
    rule = routed({"when": {"modalities": ["CT"]}}, report_not_eligible=True)
    assert planned(words.study_facts(words.facts(modality="MR")), rule) == ()


def test_a_companion_that_changed_makes_another_job() -> None:
    needs = {"other": {"series": {"kernel_class": "lung"}}}
    rule = routed({"when": {"kernel_class": "soft"}, "needs": needs})
    first = words.facts("1", kernel_class="soft")
    keys = {
        planned(words.study_facts(first, words.facts("2", kernel_class="lung", digest=d)), rule)[
            0
        ].job.key
        for d in ("a", "b")
    }
    assert len(keys) == 2


def test_results_go_where_the_rules_of_the_best_series_say() -> None:
    rule = routed({"destinations": ["a"]}, {"destinations": ["b", "a"]})
    assert planned(words.study_facts(), rule)[0].destinations == ("a", "b")


def test_results_of_a_shadow_go_nowhere_unless_another_rule_sends_them() -> None:
    assert planned(words.study_facts(), routed({"shadow": True}))[0].destinations == ()
    both = routed({"shadow": True}, {"destinations": ["pacs"]})
    assert planned(words.study_facts(), both)[0].destinations == ("pacs",)


@pytest.mark.parametrize(("stated", "expected"), [(None, 50), (7, 7)])
def test_the_priority_of_a_rule_comes_before_that_of_the_model(
    stated: int | None, expected: int
) -> None:
    route_ = {} if stated is None else {"priority": stated}
    assert planned(words.study_facts(), routed(route_))[0].job.priority == expected


def test_an_analysis_that_may_wait_waits_for_its_hours() -> None:
    schedule = {"from": "20:00", "to": "22:00", "outside": "wait"}
    study = words.study_facts()
    assert study.at is not None
    (item,) = planned(study, routed({"schedule": schedule}))
    assert item.job.not_before == study.at.replace(hour=20, minute=0).timestamp()
    (now,) = planned(study, routed({"schedule": schedule}, {}))
    assert now.job.not_before == 0
