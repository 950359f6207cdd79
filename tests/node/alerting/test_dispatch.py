"""No alert is lost by a kill, a dead receiver or a removed channel; troubles are told once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from config.alert_text import PatientData
from node.domain.errors import LedgerError
from node.ledger import Ledger
from node.ledger.alerts import AlertKind, AlertRow, AlertState
from node.ledger.outbox import ResultObject
from node.ledger.states import DeliveryState
from node.metrics import Metrics
from node.pipeline.alerting.dispatch import Dispatcher, Pace
from node.pipeline.alerting.message import Message, Wording, compose
from node.pipeline.alerting.troubles import OVER_AFTER_S, EventRule, TroubleAlerts
from node.pipeline.alerting.wire import Outcome, Passing, Probed, RefusedForGood, Sent
from tests.node import words
from tests.node.alerting.receivers import FACTS

ROW = AlertRow(
    kind=AlertKind.FINDING,
    channel="duty",
    rule="acute",
    facts=FACTS,
    study_uid=words.STUDY,
    model="pe",
    finding="embolism",
    job_key="job",
)


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Receiver:
    """Answers with the next of `answers`."""

    answers: list[Outcome]
    name: str = "duty"
    got: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> Outcome:
        self.got.append(message)
        return self.answers.pop(0)

    def probe(self) -> Probed:
        return Probed("")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("node.pipeline.alerting.dispatch.time.time", clock)
    return clock


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger(tmp_path, clock=clock)
    opened.instances.record(words.instance(1))
    yield opened
    opened.close()


def wording(patient_data: PatientData = "none", text: str = "Look: {finding}") -> Wording:
    return Wording(
        node="vigie",
        label="RESEARCH, UNVERIFIED",
        patient_data=patient_data,
        texts={
            AlertKind.FINDING: ("{finding}", text),
            AlertKind.CORRECTION: ("back: {finding}", "{reason} {label}"),
            AlertKind.EVENT: ("{event} {about}", "{detail}"),
            AlertKind.RECOVERY: ("over: {event}", "{about}"),
        },
    )


def dispatcher(ledger: Ledger, receiver: Receiver, metrics: Metrics | None = None) -> Dispatcher:
    return Dispatcher(
        receiver,
        Pace(first_s=10.0, cap_s=60.0, give_up_s=3600.0, timeout_s=10.0),
        ledger,
        lambda row: compose(row, wording(), lambda _job: []),
        metrics or Metrics(),
    )


def only(ledger: Ledger) -> AlertRow:
    (row,) = ledger.alerts.of_study(words.STUDY)
    return row


def test_pauses_double_up_to_the_cap_and_the_answer_is_kept(ledger: Ledger, clock: Clock) -> None:
    ledger.alerts.queue(ROW)
    busy: Outcome = Passing("HTTP 503", "HTTP 503")
    receiver = Receiver([busy, busy, busy, busy, Sent("HTTP 200", "HTTP 200")])
    metrics = Metrics()
    sending = dispatcher(ledger, receiver, metrics)
    for pause_s in (10.0, 20.0, 40.0, 60.0):
        assert sending.step()
        assert not sending.step()
        assert only(ledger).not_before == clock.now + pause_s
        clock.now += pause_s
    assert sending.step()
    row = only(ledger)
    assert (row.state, row.attempts, row.answer) == (AlertState.SENT, 5, "HTTP 200")
    assert len({message.key for message in receiver.got}) == 1
    text = metrics.text().decode()
    assert 'vigie_alerts_total{channel="duty",outcome="retried"} 4.0' in text
    assert 'vigie_alerts_total{channel="duty",outcome="sent"} 1.0' in text


def test_an_attempt_is_counted_before_it_is_made_and_made_again_after_a_kill(
    ledger: Ledger, clock: Clock
) -> None:
    ledger.alerts.queue(ROW)
    assert ledger.alerts.claim("duty", 50.0) is not None
    assert ledger.alerts.claim("duty", 50.0) is None
    ledger.alerts.release()
    receiver = Receiver([Sent("AA", "AA")])
    assert dispatcher(ledger, receiver).step()
    assert only(ledger).attempts == 2


def test_what_is_refused_or_too_old_is_not_tried_again(ledger: Ledger, clock: Clock) -> None:
    ledger.alerts.queue(ROW)
    dispatcher(ledger, Receiver([RefusedForGood("AE: no", "AE")])).step()
    assert (only(ledger).state, only(ledger).cause) == (AlertState.REFUSED, "AE: no")
    ledger.alerts.queue(AlertRow(**{**_fields(ROW), "finding": "stroke"}))
    clock.now += 3601
    receiver = Receiver([])
    assert dispatcher(ledger, receiver).step()
    states = {row.finding: (row.state, row.cause) for row in ledger.alerts.of_study(words.STUDY)}
    assert states["stroke"] == (AlertState.GIVEN_UP, "too old after 1 h")
    assert receiver.got == []


def test_what_reached_nobody_is_known_when_it_waits_for_long_and_when_it_ended(
    ledger: Ledger, clock: Clock
) -> None:
    def untold() -> list[str]:
        rows = ledger.alerts.untold(waits_s=900.0, ended_s=86400.0)
        return [row.state.value for row in rows]

    ledger.alerts.queue(ROW)
    assert untold() == []
    clock.now += 901
    assert untold() == ["waiting"]
    dispatcher(ledger, Receiver([RefusedForGood("AE: no", "AE")])).step()
    assert untold() == ["refused"]
    clock.now += 86401
    assert untold() == []
    ledger.alerts.queue(AlertRow(**{**_fields(ROW), "finding": "stroke"}))
    dispatcher(ledger, Receiver([Sent("AA", "AA")])).step()
    clock.now += 901
    assert untold() == []


def _fields(row: AlertRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in AlertRow.__dataclass_fields__}


def test_what_waits_for_a_removed_channel_is_withheld_with_the_reason(ledger: Ledger) -> None:
    ledger.alerts.queue(ROW)
    assert ledger.alerts.withhold_unknown(["ris"]) == 1
    assert only(ledger).cause == "the channel is no longer in appliance.yaml"


def report(folder: Path) -> Path:
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
    data_set.SOPInstanceUID = "1.2.3.4"
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.PatientName = "Müller^Ann^^Dr."
    data_set.PatientID = "4711"
    data_set.PatientBirthDate = "19600704"
    data_set.AccessionNumber = "ACC7"
    path = folder / "report.dcm"
    data_set.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("patient_data", "shown", "hidden"),
    [
        ("none", [], ["ACC7", "4711", "Müller", "19600704"]),
        ("accession", ["ACC7"], ["4711", "Müller", "19600704"]),
        ("identifiers", ["ACC7", "4711", "Dr. Ann Müller", "19600704"], []),
    ],
)
def test_no_text_shows_more_of_the_patient_than_the_site_allows(
    tmp_path: Path, patient_data: PatientData, shown: list[str], hidden: list[str]
) -> None:
    text = "{accession_number} {patient_id} {patient_name} {patient_birth_date}"
    words_of = wording(patient_data, text)
    message = compose(ROW, words_of, lambda _job: [tmp_path / "gone.dcm", report(tmp_path)])
    everything = f"{message.text} {message.identity}"
    assert all(part in everything for part in shown)
    assert not any(part in everything for part in hidden)


def test_the_mark_stands_in_every_text_also_where_the_template_leaves_it_out() -> None:
    message = compose(ROW, wording(text="Look: {finding}"), lambda _job: [])
    assert message.text == "Look: Pulmonary embolism\nRESEARCH, UNVERIFIED"
    message = compose(ROW, wording(text="{label}: {finding}"), lambda _job: [])
    assert message.text == "RESEARCH, UNVERIFIED: Pulmonary embolism"


def test_a_text_names_the_place_that_calls_or_says_that_none_is_stated() -> None:
    words_of = wording(text="{finding}, {where}. {label}")
    facts = FACTS | {"where": "Vertebra 3rd from below"}
    message = compose(AlertRow(**{**_fields(ROW), "facts": facts}), words_of, lambda _job: [])
    assert message.text.startswith("Pulmonary embolism, Vertebra 3rd from below. ")
    for none in (FACTS, FACTS | {"where": ""}):
        message = compose(AlertRow(**{**_fields(ROW), "facts": none}), words_of, lambda _job: [])
        assert message.text.startswith("Pulmonary embolism, place not stated. ")


def test_a_value_cannot_break_out_of_its_line_or_be_read_as_a_text() -> None:
    facts = FACTS | {"title": "a\r\nBcc: x@y {patient_name}"}
    message = compose(AlertRow(**{**_fields(ROW), "facts": facts}), wording(), lambda _job: [])
    assert message.subject == "a Bcc: x@y {patient_name}"
    assert "\n" not in message.subject


PRESENT: dict[tuple[str, str], str] = {}


def troubles(ledger: Ledger, clock: Clock) -> TroubleAlerts:
    PRESENT.clear()
    rules = (
        EventRule(name="disk", events=frozenset({"disk_full"}), channels=("duty", "it")),
        EventRule(
            name="all", events=frozenset({"disk_full", "destination_dead"}), channels=("it",)
        ),
    )
    return TroubleAlerts(ledger, rules, lambda: PRESENT, clock=clock)


def waiting(ledger: Ledger) -> list[tuple[str, str, str]]:
    found = []
    for channel in ("duty", "it"):
        while (row := ledger.alerts.claim(channel, 1e9)) is not None:
            found.append((channel, row.kind.value, row.facts["event"]))
            ledger.alerts.settle(row, AlertState.SENT)
    return found


def test_a_trouble_is_told_once_while_it_lasts_and_once_more_when_it_is_over(
    ledger: Ledger, clock: Clock
) -> None:
    watching = troubles(ledger, clock)
    watching.step()
    assert waiting(ledger) == []
    PRESENT["disk_full", "storage"] = "91 % full"
    watching.step()
    PRESENT["disk_full", "storage"] = "92 % full"
    watching.step()
    full = "new images are refused"
    assert waiting(ledger) == [("duty", "event", full), ("it", "event", full)]
    # Another process after a restart: the same trouble is not told again.
    troubles(ledger, clock)
    PRESENT["disk_full", "storage"] = "92 % full"
    watching.step()
    assert waiting(ledger) == []
    del PRESENT["disk_full", "storage"]
    watching.step()
    clock.now += OVER_AFTER_S - 1
    watching.step()
    assert waiting(ledger) == []
    clock.now += 2
    watching.step()
    assert waiting(ledger) == [("duty", "recovery", full), ("it", "recovery", full)]
    clock.now += 10
    PRESENT["disk_full", "storage"] = "again"
    watching.step()
    assert len(waiting(ledger)) == 2


def test_a_destination_is_silent_since_it_last_took_something_while_results_wait(
    ledger: Ledger, clock: Clock
) -> None:
    def add(uid: str) -> None:
        item = ResultObject(
            sop_instance_uid=uid,
            sop_class_uid="1",
            study_uid=words.STUDY,
            series_uid="1",
            job_key="job",
            kind="report",
            instance_number=1,
            path=ledger.root / uid,
        )
        ledger.outbox.add([item], ["pacs"])

    def silent(at_least_s: float = 1.0) -> float:
        return ledger.troubles.silent_for("pacs", at_least_s=at_least_s)

    add("1.1")
    clock.now += 100
    (first,) = ledger.outbox.due("pacs", 10)
    ledger.outbox.settle(first, DeliveryState.SENT)
    assert silent() == 0.0
    add("1.2")
    clock.now += 50
    assert silent() == 50.0
    assert silent(at_least_s=51.0) == 0.0
    (second,) = ledger.outbox.due("pacs", 10)
    ledger.outbox.settle(second, DeliveryState.REFUSED, cause="class")
    assert silent() == 0.0
    assert ledger.troubles.held_back("pacs") == (1, 1)
    assert ledger.troubles.held_back("archive") == (0, 0)


def test_a_ledger_of_the_version_before_gets_the_tables_of_alerts(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as old:
        old.executescript("DROP TABLE alert; DROP TABLE trouble;")
        old.execute("UPDATE meta SET value='2' WHERE key='version'")
    old.close()
    with pytest.raises(LedgerError, match=r"version 2.*brings an older ledger up to date"):
        Ledger(tmp_path, read_only=True)
    upgraded = Ledger(tmp_path)
    assert upgraded.alerts.waiting() == {}
    upgraded.close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as new:
        new.execute("UPDATE meta SET value='99' WHERE key='version'")
    new.close()
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(tmp_path)
