"""Images in any order, in several associations, interleaved, late at any point: one result.

A whole node without its sockets and networks is driven step by step, by chance: what arrives,
what ends, what is judged, analysed and delivered next. In the end each study has exactly one
current result, made of all of its images, and nothing was delivered twice.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_sr.context import ResultContext
from node.domain.facts import SeriesFacts, StudyFacts
from node.domain.finding import Status, derived_uid
from node.domain.study import Instance, InstanceUID, SeriesUID, StackID, StudyUID, digest_of
from node.ledger import Ledger
from node.ledger.states import JobState, StudyState
from node.metrics import Metrics
from node.pipeline.analysis import AnalysisResult, AnalysisTask, FactsTask
from node.pipeline.completion import Completion, CompletionSettings
from node.pipeline.conductor import Conductor
from node.pipeline.others import StudyInput
from node.pipeline.routing import ModelRoute
from node.pipeline.scheduler import Scheduler, SchedulerSettings
from node.pipeline.writing import WrittenObject
from node.watching import Arrivals
from scp.contracts import Stored
from tests.node import words

SR = "1.2.840.10008.5.1.4.1.1.88.34"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def described(study: StudyInput) -> StudyFacts:
    """What `describe_with_facts` would make of it."""
    members: dict[SeriesUID, list[Instance]] = {}
    for instance in study.instances:
        members.setdefault(instance.series_uid, []).append(instance)
    return StudyFacts(
        study_uid=study.study_uid,
        series=tuple(_series(study.study_uid, uid, items) for uid, items in members.items()),
        generation=study.generation,
        at=study.completed_at,
    )


def _series(study_uid: StudyUID, uid: SeriesUID, items: list[Instance]) -> SeriesFacts:
    return words.facts(
        study_uid=study_uid,
        series_uid=uid,
        stack_id=StackID(uid),
        digest=digest_of(items),
        slices=len(items),
    )


@dataclass
class Readers:
    def run(
        self, function: object, argument: FactsTask, **limits: float
    ) -> tuple[None, StudyFacts]:
        return None, described(argument.study)


@dataclass
class Report:
    """What one report says: the images it is made of, and what it replaces."""

    study_uid: str
    images: frozenset[str]
    replaces: tuple[str, ...]
    number: int


@dataclass
class Workers:
    """Looks at nothing, and lets `meanwhile` happen while it does."""

    meanwhile: Callable[[], None]
    reports: dict[str, Report] = field(default_factory=dict)

    def run(self, function: object, argument: AnalysisTask, **limits: float) -> AnalysisResult:
        task = argument
        self.meanwhile()
        images = frozenset(
            str(item.sop_instance_uid)
            for item in task.study.instances
            if item.series_uid == task.candidates[0]
        )
        uid = derived_uid("report", task.setup.name, *sorted(images), repr(task.context))
        self.reports[uid] = Report(
            study_uid=task.study.study_uid,
            images=images,
            replaces=tuple(item.sop_instance_uid for item in task.context.predecessor),
            number=task.context.instance_number,
        )
        written = WrittenObject(
            sop_instance_uid=uid,
            sop_class_uid=SR,
            series_uid=derived_uid("series", task.study.study_uid),
            kind="report",
            instance_number=task.context.instance_number,
            path=task.folder / "01-report.dcm",
        )
        return AnalysisResult(
            status=Status.FINDINGS,
            stack_id=task.candidates[0],
            reason="",
            refusals=(),
            objects=(written,),
            seconds={},
            summary="",
        )


class Node:
    """Everything between the index and the PACS, driven by hand."""

    def __init__(self, root: Path, chance: random.Random, **when: Any) -> None:
        """`when`: conditions of the one routing rule."""
        self.chance = chance
        self.clock = Clock()
        self.ledger = Ledger(root, clock=self.clock)
        self.completion = Completion(
            CompletionSettings(quiet_time_s=20, interrupted_quiet_time_s=60, shortest_s=5),
            clock=self.clock,
        )
        metrics = Metrics()
        self.arrivals = Arrivals(self.ledger, self.completion, metrics)
        route = ModelRoute(
            manifest=words.manifest(min_planes=1),
            rules=(words.rule(when=when),),
            priority=50,
            report_not_eligible=False,
            configuration_digest="c",
        )
        self.conductor = Conductor(self.ledger, self.completion, Readers(), (route,), metrics)
        self.workers = Workers(self.maybe_arrive)
        context = ResultContext(
            software_version="0", serial_number="0", station_name="s", configuration_digest="c"
        )
        self.scheduler = Scheduler(
            self.ledger,
            self.workers,
            {route.manifest.identity.name: route},
            SchedulerSettings(
                owner="t", results_folder=root / "results", context=lambda _m: context
            ),
            metrics,
        )
        self.delivered: list[str] = []
        self.open: dict[str, None] = {}
        self.opened = 0
        self.to_come: list[Instance] = []

    def arrive(self) -> None:
        """The next image, on a new or an open association."""
        instance = self.to_come.pop()
        if not self.open or self.chance.random() < 0.2:
            self.opened += 1
            self.open[f"a{self.opened}"] = None
            self.arrivals.association_opened(f"a{self.opened}", "SENDER", "10.0.0.1")
        association = self.chance.choice(list(self.open))
        arrived = replace(instance, received_at=datetime.fromtimestamp(self.clock(), tz=UTC))
        filing = self.ledger.instances.record(arrived)
        self.arrivals.instance_stored(association, Stored(arrived, filing))

    def maybe_arrive(self) -> None:
        if self.to_come and self.chance.random() < 0.5:
            self.arrive()

    def end_association(self) -> None:
        if self.open:
            association = self.chance.choice(list(self.open))
            del self.open[association]
            self.arrivals.association_closed(association, clean=self.chance.random() < 0.8)

    def wait(self) -> None:
        self.clock.now += self.chance.choice((0.1, 1.0, 6.0, 21.0, 61.0))

    def deliver(self) -> None:
        for delivery in self.ledger.outbox.due("pacs", self.chance.randint(1, 3)):
            self.delivered.append(delivery.object.sop_instance_uid)
            self.ledger.outbox.settle(delivery, words.HANDED_OVER)

    def restart(self) -> None:
        """A kill: what was running waits again, what was being received is taken up."""
        self.ledger.jobs.release_all()

    def step(self) -> None:
        """Whatever comes next."""
        self.chance.choice(
            (
                self.arrive if self.to_come else self.wait,
                self.maybe_arrive,
                self.end_association,
                self.wait,
                self.conductor.step,
                self.scheduler.run_one,
                self.deliver,
                self.restart,
            )
        )()

    def finish(self) -> None:
        """Everything comes, ends, and is given time."""
        while self.to_come:
            self.step()
        while self.open:
            self.end_association()
        for _ in range(60):
            self.clock.now += 100.0
            self.conductor.step()
            while self.scheduler.run_one():
                pass
            self.deliver()


def images(studies: int, series: int, slices: int) -> list[Instance]:
    found = []
    for study in range(studies):
        for number in range(series):
            for index in range(slices):
                base = words.instance(index, series=str(number))
                study_uid = StudyUID(f"{words.STUDY}.{study}")
                uid = f"{study_uid}.{number}.{index}"
                found.append(
                    replace(
                        base,
                        study_uid=study_uid,
                        series_uid=SeriesUID(f"{study_uid}.{number}"),
                        sop_instance_uid=InstanceUID(uid),
                        digest=f"{abs(hash(uid)):032x}",
                    )
                )
    return found


def check(node: Node) -> None:
    """One current result for each study, made of all of its images; nothing twice."""
    repeated = {uid: n for uid, n in Counter(node.delivered).items() if n > 1}
    assert not repeated
    in_pacs = {uid: node.workers.reports[uid] for uid in node.delivered}
    for study in node.ledger.studies.recent(100):
        assert study.state is StudyState.ENDED
        mine = {uid: item for uid, item in in_pacs.items() if item.study_uid == study.study_uid}
        replaced = {uid for item in mine.values() for uid in item.replaces}
        assert replaced <= mine.keys(), "a report replaces one that never left"
        (current,) = mine.keys() - replaced
        newest = mine[current]
        received = node.ledger.instances.received(study.study_uid)
        assert newest.images in received.values()
        numbers = [item.number for item in mine.values()]
        assert newest.number == max(numbers)
        assert len(set(numbers)) == len(numbers)
        done = [job for job in node.ledger.jobs.current(study.study_uid)]
        assert [job.state for job in done] == [JobState.DONE]


@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_images_in_any_order_end_in_one_current_result(chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder), chance)
        node.to_come = images(chance.randint(1, 3), chance.randint(1, 2), chance.randint(1, 5))
        chance.shuffle(node.to_come)
        for _ in range(chance.randint(0, 60)):
            node.step()
        node.finish()
        check(node)
        node.ledger.close()


def run_to_end(node: Node) -> None:
    node.end_association()
    node.finish()


def test_late_image_of_another_series_makes_no_new_result(tmp_path: Path) -> None:
    node = Node(tmp_path, random.Random(1))
    first, late = images(1, 2, 1)
    node.to_come = [first]
    node.arrive()
    run_to_end(node)
    node.to_come = [late]
    node.arrive()
    run_to_end(node)
    check(node)
    assert len(node.delivered) == 1
    said = {v.series_uid: v.verdict for v in node.ledger.studies.verdicts(first.study_uid, 2)}
    assert said[first.series_uid] == "done"
    told = [(e.what, e.detail) for e in node.ledger.studies.events(first.study_uid)]
    assert ("result stays", "body_composition: its input did not change") in told


def test_result_that_no_route_asks_for_any_more_stays_and_that_is_told(tmp_path: Path) -> None:
    node = Node(tmp_path, random.Random(1), slices={"max": 1})
    first, late = images(1, 1, 2)
    for image in (first, late):
        node.to_come = [image]
        node.arrive()
        run_to_end(node)
    assert len(node.delivered) == 1
    (verdict,) = node.ledger.studies.verdicts(first.study_uid, 2)
    assert verdict.verdict == "not eligible"
    told = [
        e.detail for e in node.ledger.studies.events(first.study_uid) if e.what == "result stays"
    ]
    assert told == [
        "body_composition: no route asks for it any more; the earlier result was not redone"
    ]


def test_late_image_of_the_analysed_series_supersedes_the_result(tmp_path: Path) -> None:
    node = Node(tmp_path, random.Random(1))
    first, late = images(1, 1, 2)
    node.to_come = [first]
    node.arrive()
    run_to_end(node)
    node.to_come = [late]
    node.arrive()
    run_to_end(node)
    check(node)
    assert len(node.delivered) == 2
    old, new = (node.workers.reports[uid] for uid in node.delivered)
    assert new.replaces == (node.delivered[0],)
    assert (old.number, new.number) == (1, 2)


def test_image_that_comes_while_its_series_is_analysed_makes_that_result_outdated(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path, random.Random(1))
    first, late = images(1, 1, 2)
    node.to_come = [first]
    node.arrive()
    node.to_come = [late]
    came: list[Any] = []

    def arrive_once() -> None:
        if not came:
            came.append(node.arrive())

    node.workers.meanwhile = arrive_once
    while node.open:
        node.end_association()
    node.clock.now += 100
    for _ in range(3):
        node.conductor.step()
    assert node.scheduler.run_one()
    (job,) = node.ledger.jobs.of_study(first.study_uid)
    assert (job.state, job.reason) == (JobState.SUPERSEDED, "newer input of the same study")
    run_to_end(node)
    check(node)
    assert len(node.delivered) == 1


def test_result_that_waits_for_a_dead_pacs_is_never_named_as_replaced(tmp_path: Path) -> None:
    node = Node(tmp_path, random.Random(1))
    first, late = images(1, 1, 2)
    node.to_come = [first]
    node.arrive()
    deliver, node.deliver = node.deliver, lambda: None  # type: ignore[method-assign]
    run_to_end(node)
    node.to_come = [late]
    node.arrive()
    node.deliver = deliver  # type: ignore[method-assign]
    run_to_end(node)
    check(node)
    (only,) = node.delivered
    assert node.workers.reports[only].replaces == ()
    assert node.workers.reports[only].number == 2
