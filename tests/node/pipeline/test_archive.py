"""The PACS is asked in the background; one that is dead or slow costs nothing but the answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from node.pipeline.archive import Answer, Archive, ArchiveSettings, Counts, NoAnswer, Pending, ask

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY = "1.2.3"


def settings(port: int) -> ArchiveSettings:
    return ArchiveSettings(
        ae_title="PACS",
        host="127.0.0.1",
        port=port,
        calling_ae_title="VIGIE",
        connect_timeout_s=2,
        response_timeout_s=2,
    )


@contextmanager
def pacs(*series: tuple[str, int | None], status: int = 0x0000, returns: str = "") -> Iterator[int]:
    """A PACS that knows one study; `returns`: the Study Instance UID in its answer."""

    def answer(event: Event) -> Iterator[tuple[int, Dataset | None]]:
        keys: Any = event.identifier
        if status:
            yield status, None
        elif keys.QueryRetrieveLevel == "STUDY" and series:
            found = Dataset()
            found.QueryRetrieveLevel, found.StudyInstanceUID = "STUDY", keys.StudyInstanceUID
            found.StudyInstanceUID = returns or found.StudyInstanceUID
            found.PatientID, found.PatientName = "P1", "Lovelace^Ada"
            yield 0xFF00, found
        elif keys.QueryRetrieveLevel == "SERIES":
            for uid, number in series:
                found = Dataset()
                found.QueryRetrieveLevel, found.SeriesInstanceUID = "SERIES", uid
                if number is not None:
                    found.NumberOfSeriesRelatedInstances = number
                yield 0xFF00, found

    entity = AE(ae_title="PACS")
    entity.add_supported_context(FIND)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)]
    )
    assert server is not None
    yield server.server_address[1]
    entity.shutdown()


def test_pacs_counts_the_images_of_each_series_and_says_whose_they_are() -> None:
    with pacs(("1.1", 3), ("1.2", 40)) as port:
        answer = ask(settings(port), STUDY)
    assert isinstance(answer, Counts)
    assert dict(answer.by_series) == {"1.1": 3, "1.2": 40}
    assert answer.identity["PatientID"] == "P1"
    assert "PatientBirthDate" not in answer.identity


def test_study_that_the_pacs_does_not_know_is_told_from_one_that_it_does_not_count() -> None:
    with pacs() as port:
        unknown = ask(settings(port), STUDY)
    with pacs(("1.1", None)) as port:
        uncounted = ask(settings(port), STUDY)
    assert isinstance(unknown, Counts)
    assert isinstance(uncounted, Counts)
    assert (unknown.is_known, uncounted.is_known) == (False, True)
    assert not uncounted.by_series


def test_pacs_that_refuses_or_is_not_there_gives_a_cause() -> None:
    with pacs(("1.1", 3), status=0xA700) as port:
        refused = ask(settings(port), STUDY)
    gone = ask(settings(port), STUDY)
    assert refused == NoAnswer("C-FIND was not answered (status 0xA700)", reached=True)
    assert gone == NoAnswer(f"PACS at 127.0.0.1:{port} does not answer")


def test_answer_about_another_study_is_no_answer() -> None:
    with pacs(("1.1", 3), returns="9.9.9") as port:
        answer = ask(settings(port), STUDY)
    assert answer == NoAnswer(
        "C-FIND was answered with another study than the one asked for", reached=True
    )


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def counting(number: int) -> Counts:
    return Counts(is_known=True, by_series={"1.1": number}, identity={})


def test_answer_is_kept_and_asked_again_when_images_came_since() -> None:
    clock, asked = Clock(), []

    def query(_settings: ArchiveSettings, study_uid: str) -> Answer:
        asked.append(study_uid)
        return counting(len(asked))

    archive = Archive(settings(1), clock=clock, query=query)
    assert archive.study(STUDY, 90) == Pending()
    assert archive.step()
    assert not archive.step()
    assert archive.study(STUDY, 90) == counting(1)
    assert not archive.step()
    clock.now += 5
    assert archive.study(STUDY, 104) == Pending()
    assert archive.step()
    assert archive.study(STUDY, 104) == counting(2)
    clock.now += 20
    assert archive.study(STUDY, 104) == counting(2)
    assert archive.step()
    assert archive.study(STUDY, 104) == counting(3)


def test_slow_pacs_does_not_hold_up_who_asks() -> None:
    release = threading.Event()

    def query(_settings: ArchiveSettings, _study_uid: str) -> Answer:
        release.wait(20)
        return counting(1)

    archive = Archive(settings(1), query=query)
    archive.loop.start()
    assert archive.study(STUDY, 0) == Pending()
    assert archive.study("1.2.4", 0) == Pending()
    release.set()
    archive.loop.stop()


def test_dead_pacs_is_not_asked_about_every_study() -> None:
    clock, asked = Clock(), []

    def query(_settings: ArchiveSettings, study_uid: str) -> Answer:
        asked.append(study_uid)
        return NoAnswer("it does not answer")

    archive = Archive(settings(1), clock=clock, query=query)
    for number in range(50):
        archive.study(f"1.2.{number}", 90)
        archive.step()
    assert len(asked) == 1
    assert archive.study("1.2.7", 90) == NoAnswer("it did not answer a moment ago")
    assert archive.study("1.2.0", 90) == NoAnswer("it does not answer")
    clock.now += 6
    assert archive.step()
