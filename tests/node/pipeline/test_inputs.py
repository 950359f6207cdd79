"""A result rests on its series and on those that were analysed with it."""

from __future__ import annotations

from dataclasses import replace

from node.domain.study import SeriesUID, StackID, StudyUID
from node.domain.verdict import Companion
from node.pipeline.inputs import Input, input_digest
from node.pipeline.routing import ModelRoute
from tests.node import words

RULE = ModelRoute(
    manifest=words.manifest(),
    rules=(),
    priority=1,
    report_not_eligible=False,
    configuration_digest="c",
)
STACK = StackID("1.1#2")
LOOKED_AT = Input(
    stacks=(STACK,),
    companions=(
        (STACK, Companion("ct", StudyUID("1"), StackID("1.2"))),
        (STACK, Companion("prior", StudyUID("7"), StackID("7.1"))),
        (StackID("1.3"), Companion("ct", StudyUID("1"), StackID("1.4"))),
    ),
    digests={SeriesUID("1.1"): "a", SeriesUID("1.2"): "b", SeriesUID("1.4"): "d"},
    others={StudyUID("7"): {SeriesUID("7.1"): "p"}},
)


def digest(looked_at: Input) -> str:
    return input_digest(looked_at, RULE, reruns=0)


def test_a_change_of_the_series_or_of_what_goes_with_it_is_a_change_of_the_input() -> None:
    same = digest(LOOKED_AT)
    for uid in ("1.1", "1.2"):
        changed = {**LOOKED_AT.digests, SeriesUID(uid): "other"}
        assert digest(replace(LOOKED_AT, digests=changed)) != same
    prior = {StudyUID("7"): {SeriesUID("7.1"): "other"}}
    assert digest(replace(LOOKED_AT, others=prior)) != same


def test_what_goes_with_another_candidate_is_not() -> None:
    changed = {**LOOKED_AT.digests, SeriesUID("1.4"): "other"}
    assert digest(replace(LOOKED_AT, digests=changed)) == digest(LOOKED_AT)
