"""A study against one model and its rules: who is sent, who is best, what goes with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from node.domain.facts import SeriesFacts, StudyFacts
from node.domain.study import StudyUID
from node.domain.verdict import Companion, Eligible, Ineligible, ReasonCode, Undecided
from node.pipeline.judging import Judgement, judge_study
from tests.node import words


def judged(
    *members: SeriesFacts,
    rules: list[dict[str, Any]],
    priors: tuple[StudyFacts, ...] = (),
    **changes: object,
) -> Judgement:
    made = [words.rule(f"r{place}", place, **route) for place, route in enumerate(rules)]
    study = words.study_facts(*members, **changes)
    return judge_study(study, words.manifest(), made, priors)


def reasons(judgement: Judgement) -> list[str]:
    return [getattr(verdict, "reason", "run") for verdict in judgement.verdicts]


def test_study_that_holds_two_patients_is_not_analysed_at_all() -> None:
    fault = "images of 2 patients in one study"
    judgement = judged(words.facts("1"), words.facts("2"), rules=[{}], faults=(fault,))
    assert reasons(judgement) == [fault, fault]
    assert {v.code for v in judgement.verdicts if isinstance(v, Ineligible)} == {ReasonCode.STUDY}


def test_series_that_no_rule_wants_gets_that_reason_and_an_unfit_one_keeps_its_own() -> None:
    judgement = judged(
        words.facts("1", kernel_class="lung"),
        words.facts("2", modality="PT"),
        rules=[{"when": {"kernel_class": "soft"}}],
    )
    assert reasons(judgement) == [
        "no routing rule applies: kernel class lung; the rule asks for kernel class soft",
        "modality PT; the model reads CT",
    ]
    assert judgement.rules == ()


def test_each_series_is_judged_by_its_own_facts() -> None:
    judgement = judged(
        words.facts("1", slice_thickness_mm=5.0),
        words.facts("2", slice_thickness_mm=1.0),
        rules=[{"when": {"slice_thickness_mm": {"max": 1.5}}}],
    )
    assert [type(verdict) for verdict in judgement.verdicts] == [Ineligible, Eligible]


@pytest.mark.parametrize(
    ("prefer", "first"),
    [
        (["thinnest", "soft_kernel"], "3"),
        (["soft_kernel", "thinnest"], "1"),
        (["lung_kernel", "thickest"], "2"),
        ([], "2"),
    ],
)
def test_the_first_word_that_tells_two_series_apart_decides(prefer: list[str], first: str) -> None:
    judgement = judged(
        words.facts("1", slice_thickness_mm=2.0, kernel_class="soft"),
        words.facts("2", slice_thickness_mm=5.0, kernel_class="lung", coverage_mm=400.0),
        words.facts("3", slice_thickness_mm=1.0, kernel_class="lung"),
        rules=[{"prefer": prefer}],
    )
    assert judgement.candidates[0].stack_id.endswith(f".{first}")
    assert len(judgement.candidates) == 3


def test_a_series_sent_by_another_rule_is_no_substitute() -> None:
    judgement = judged(
        words.facts("1", kernel_class="soft"),
        words.facts("2", kernel_class="lung"),
        rules=[
            {"when": {"kernel_class": "soft"}, "destinations": ["day"]},
            {"when": {"kernel_class": "lung"}, "destinations": ["night"]},
        ],
    )
    assert reasons(judgement) == [
        "run",
        "another series of this study is a better input, by rule 'r0'",
    ]
    assert [rule.name for rule in judgement.rules] == ["r0"]


def test_rule_applies_in_its_hours_only() -> None:
    night = {"schedule": {"from": "20:00", "to": "07:00"}}
    morning = judged(rules=[night])
    assert reasons(morning) == [
        "no routing rule applies: the rule applies from 20:00 to 07:00, not on Friday at 09:30"
    ]
    assert morning.verdicts[0].code is ReasonCode.SCHEDULE  # type: ignore[union-attr]
    late = judged(rules=[night], at=datetime(2026, 1, 3, 6, 59, tzinfo=UTC))
    assert reasons(late) == ["run"]


def test_a_pet_is_analysed_with_the_ct_of_the_same_frame_of_reference() -> None:
    needs = {
        "ct": {
            "series": {"kernel_class": "soft"},
            "same": ["frame_of_reference"],
            "prefer": ["thinnest"],
        }
    }
    first = words.facts("1", frame_of_reference_uid="9.1", kernel_class="lung")
    other = words.facts("2", frame_of_reference_uid="9.2", kernel_class="soft")
    thick = words.facts("3", frame_of_reference_uid="9.1", kernel_class="soft")
    thin = words.facts(
        "4", frame_of_reference_uid="9.1", kernel_class="soft", slice_thickness_mm=1.0
    )
    rules = [{"when": {"kernel_class": "lung"}, "needs": needs}]
    judgement = judged(first, other, thick, thin, rules=rules)
    (fit,) = judgement.candidates
    assert [(one.role, one.stack_id) for one in fit.companions] == [("ct", thin.stack_id)]
    alone = judged(first, other, rules=rules)
    assert reasons(alone)[0] == (
        "the study has no series for the role 'ct' (kernel class soft) with the same frame of "
        "reference"
    )
    assert alone.verdicts[0].code is ReasonCode.COMPANION  # type: ignore[union-attr]


def test_four_views_are_four_roles_and_none_plays_two() -> None:
    views = [
        words.facts(str(n), view=view, laterality=side)
        for n, (view, side) in enumerate(
            [("CC", "right"), ("MLO", "right"), ("CC", "left"), ("MLO", "left")]
        )
    ]
    needs = {
        "rmlo": {"series": {"view": "MLO", "laterality": "right"}},
        "lcc": {"series": {"view": "CC", "laterality": "left"}},
        "lmlo": {"series": {"view": "MLO", "laterality": "left"}},
    }
    rules = [{"when": {"view": "CC", "laterality": "right"}, "needs": needs}]
    (fit,) = judged(*views, rules=rules).candidates
    assert [one.role for one in fit.companions] == ["rmlo", "lcc", "lmlo"]
    assert len({one.stack_id for one in fit.companions} | {fit.stack_id}) == 4


def test_a_scan_goes_with_the_newest_prior_that_fits_or_alone_where_that_is_allowed() -> None:
    def prior(uid: str, thickness: float) -> StudyFacts:
        series = words.facts(uid, study_uid=StudyUID(uid), slice_thickness_mm=thickness)
        return words.study_facts(series, study_uid=StudyUID(uid))

    need = {"series": {"slice_thickness_mm": {"max": 2}}, "study": "prior"}
    priors = (prior("7.1", 5.0), prior("7.2", 1.0), prior("7.3", 1.0))
    (fit,) = judged(rules=[{"needs": {"prior": need}}], priors=priors).candidates
    (companion,) = fit.companions
    assert isinstance(companion, Companion)
    assert companion.study_uid == "7.2"
    (alone,) = judged(rules=[{"needs": {"prior": {**need, "optional": True}}}]).candidates
    assert alone.companions == ()
    assert (
        "no earlier study of the patient has"
        in reasons(judged(rules=[{"needs": {"prior": need}}]))[0]
    )


def test_conditions_on_what_a_table_cannot_tell_leave_it_open() -> None:
    facts = words.facts(untold=frozenset({"pixel_contrast"}))
    judgement = judged(facts, rules=[{"when": {"pixel_contrast": True}}])
    (verdict,) = judgement.verdicts
    assert isinstance(verdict, Undecided)
    assert verdict.untold == ("pixel_contrast",)
    refused = judged(facts, rules=[{"when": {"pixel_contrast": True, "modality": "MR"}}])
    assert isinstance(refused.verdicts[0], Ineligible)


def test_an_exclusive_rule_takes_a_series_from_all_others_wherever_it_stands() -> None:
    thin = {"slice_thickness_mm": {"max": 1.5}}
    alone = {"when": thin, "exclusive": True, "destinations": ["night"]}
    for rules in ([{}, alone], [alone, {}]):
        judgement = judged(words.facts(slice_thickness_mm=1.0), rules=rules)
        assert [rule.destinations for rule in judgement.rules] == [("night",)]
        unfit = judged(words.facts(slice_thickness_mm=1.0, orientation="coronal"), rules=rules)
        assert [rule.destinations for rule in unfit.rules] == [("night",)], "who is told why not"
    judgement = judged(words.facts(slice_thickness_mm=5.0), rules=[alone, {}])
    assert [rule.destinations for rule in judgement.rules] == [("pacs",)]


def test_where_an_exclusive_rule_may_hold_it_is_open_who_gets_the_result() -> None:
    alone = {"when": {"pixel_contrast": True}, "exclusive": True, "destinations": ["night"]}
    facts = words.facts(untold=frozenset({"pixel_contrast"}))
    (verdict,) = judged(facts, rules=[{}, alone]).verdicts
    assert isinstance(verdict, Undecided)
    assert verdict.untold == ("pixel_contrast",)
