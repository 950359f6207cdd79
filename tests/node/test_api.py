"""The API of reader feedback: who may use it, what it keeps, and how it refuses."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.access import Tokens
from node.api import Api
from node.domain.feedback import MeasuredValue, ReportedFinding, Source
from node.domain.study import StackID, StudyUID
from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.findings import Report
from node.ledger.outbox import ResultObject
from node.ledger.states import JobState
from node.ledger.studies import VerdictRow
from node.web import MAX_BODY_BYTES, Probes, Web, WebSettings

STUDY = "1.2.840.1"
LESION = "2.25.7"
TOKENS = Tokens(shared="shared secret", named={"reader-1": "one", "reader-2": "two"})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    opened.studies.touch(STUDY, 1.0)
    result(opened, "job-1", "1.0.0")
    yield opened
    opened.close()


def result(ledger: Ledger, key: str, version: str) -> None:
    """A result with one finding; the newest one of the study."""
    before = ledger.jobs.newest_with_results(STUDY, "nodules")
    ledger.jobs.add(
        Job(
            key=key,
            study_uid=StudyUID(STUDY),
            candidates=(StackID("1.2.3"),),
            model=ModelName("nodules"),
            generation=1 + (before.generation if before else 0),
            priority=1,
            predecessor="",
        ),
        destinations=(),
    )
    ledger.studies.complete(STUDY, "test")
    ledger._database._connection.execute("UPDATE study SET state='analysing'")
    job = ledger.jobs.claim("test", 60)
    assert job is not None
    ledger.jobs.finish(job, JobState.DONE)
    if before is not None:
        ledger.jobs.replaced(before.key)
    item = ResultObject(
        sop_instance_uid=f"1.2.840.1.{version}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        study_uid=STUDY,
        series_uid="1.2.3.4",
        job_key=key,
        kind="report",
        instance_number=1,
        path=ledger.root / "results" / key / "report.dcm",
    )
    ledger.outbox.add([item], ())
    finding = ReportedFinding(
        tracking_uid=LESION,
        identifier="Nodule 1",
        finding="Nodule",
        site="Lung",
        model="nodules",
        model_version=version,
        measurements=(MeasuredValue(name="Diameter", value=7.5, unit="mm", code="81827009 SCT"),),
    )
    report = Report(sop_instance_uid=item.sop_instance_uid, study_uid=STUDY, findings=(finding,))
    ledger.findings.record(item, report)


class Client:
    def __init__(self, web: Web) -> None:
        self.port = web.port

    def call(
        self, method: str, path: str, body: Any = None, token: str = "one"
    ) -> tuple[int, Any, Any]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, method=method
        )
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.loads(response.read()), response.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read()), error.headers

    def post(self, token: str = "one", **body: Any) -> tuple[int, Any]:
        sent = {"study": STUDY, "tracking_uid": LESION, "answer": "accepted"} | body
        status, told, _ = self.call("POST", "/api/v1/feedback", sent, token)
        return status, told

    def findings(self) -> Any:
        status, told, _ = self.call("GET", f"/api/v1/studies/{STUDY}/findings")
        assert status == 200
        return told["results"]


def serve(ledger: Ledger, tokens: Tokens) -> Iterator[Client]:
    web = Web(
        WebSettings(host="127.0.0.1", port=0),
        Probes(metrics=bytes, faults=dict, unready=dict),
        Api(ledger, tokens).answer,
    )
    web.start()
    yield Client(web)
    web.stop()


@pytest.fixture
def client(ledger: Ledger) -> Iterator[Client]:
    yield from serve(ledger, TOKENS)


def test_without_a_token_in_the_configuration_the_api_is_closed(ledger: Ledger) -> None:
    for closed in serve(ledger, Tokens()):
        for method, path in (
            ("GET", "/api/v1/feedback"),
            ("GET", f"/api/v1/studies/{STUDY}/findings"),
            ("POST", "/api/v1/feedback"),
        ):
            status, told, _ = closed.call(method, path, {} if method == "POST" else None, "")
            assert status == 403
            assert "http.api_token" in told["remedy"]
        # An empty token is not the token of an API without one.
        assert closed.call("GET", "/api/v1/feedback", token=" ")[0] == 403


@pytest.mark.parametrize("token", ["", "wrong", "shared", "on", "ONE"])
def test_a_wrong_token_is_turned_away(client: Client, token: str) -> None:
    status, told, headers = client.call("GET", "/api/v1/feedback", token=token)
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization" in told["remedy"]
    assert not any(secret in json.dumps(told) for secret in ("shared secret", "two"))


def test_the_findings_of_a_study_are_listed_with_their_numbers(client: Client) -> None:
    (only,) = client.findings()
    assert (only["result"], only["current"]) == ("job-1", True)
    (finding,) = only["findings"]
    assert finding["tracking_uid"] == LESION
    assert finding["measurements"] == [{"name": "Diameter", "value": 7.5, "unit": "mm"}]
    assert finding["answers"] == []


def test_an_answer_is_kept_once_and_a_later_one_supersedes_it(
    client: Client, ledger: Ledger
) -> None:
    status, told = client.post(comment="  seen  ")
    assert (status, told["new"], told["answer"]["reader"]) == (201, True, "reader-1")
    assert client.post(comment="seen")[0] == 200
    assert client.post(token="two")[0] == 201
    wanted = {"answer": "corrected", "measurements": [{"name": "D", "value": 9, "unit": "mm"}]}
    assert client.post(**wanted)[0] == 201
    answers = client.findings()[0]["findings"][0]["answers"]
    assert [(a["reader"], a["answer"], a["current"]) for a in answers] == [
        ("reader-1", "accepted", False),
        ("reader-2", "accepted", True),
        ("reader-1", "corrected", True),
    ]
    assert answers[2]["measurements"] == [{"name": "D", "value": 9.0, "unit": "mm"}]
    # What was taken back and said again is a new word.
    assert client.post(comment="seen")[0] == 201
    assert len(ledger.feedback.answers()) == 4


def test_answers_survive_a_restart_and_are_counted_alike(client: Client, ledger: Ledger) -> None:
    client.post()
    client.post(answer="rejected")
    again = Ledger(ledger.root)
    assert again.feedback.totals() == ledger.feedback.totals()
    assert sum(again.feedback.totals().values()) == 2
    assert {one.source for one in again.feedback.answers()} == {Source.API}
    again.close()


def test_the_shared_token_names_its_reader_and_a_reader_only_himself(client: Client) -> None:
    assert client.post(token="shared secret", reader="dr-a")[1]["answer"]["reader"] == "dr-a"
    assert client.post(token="shared secret")[1]["answer"]["reader"] == "api"
    status, told = client.post(reader="reader-2")
    assert (status, told["error"]) == (403, "this token belongs to another reader")
    assert client.post(reader="reader-1")[0] == 201


def test_feedback_stays_with_its_version_when_a_newer_result_replaces_it(
    client: Client, ledger: Ledger
) -> None:
    client.post(answer="rejected")
    result(ledger, "job-2", "1.1.0")
    assert client.post()[1]["result"] == "job-2"
    newer, older = client.findings()
    assert (newer["result"], newer["current"], older["current"]) == ("job-2", True, False)
    (finding,) = newer["findings"]
    assert [a["answer"] for a in finding["answers"]] == ["accepted"]
    (other,) = finding["answers_to_other_results"]
    assert (other["result"], other["answer"], other["model_version"]) == (
        "job-1",
        "rejected",
        "1.0.0",
    )
    assert client.post(token="two", result="job-1")[1]["result"] == "job-1"
    assert client.post(token="two", result="1.2.840.1.1.0.0")[0] == 200
    _, counts, _ = client.call("GET", "/api/v1/feedback?model=nodules")
    assert [(row["version"], row["answered"]) for row in counts["models"]] == [
        ("1.0.0", 1),
        ("1.1.0", 1),
    ]


def test_counts_have_a_rate_with_its_interval(client: Client) -> None:
    client.post()
    _, counts, _ = client.call("GET", "/api/v1/feedback?days=1")
    (row,) = counts["models"]
    assert (row["accepted"], row["acceptance_rate"]) == (1, 1.0)
    low, high = row["interval_95"]
    # Wilson's lower limit of 1 of 1 is 1 / (1 + 1.96^2).
    assert low == pytest.approx(0.2065, abs=1e-3)
    assert high == pytest.approx(1.0)
    assert client.call("GET", "/api/v1/feedback?days=0")[0] == 422
    assert client.call("GET", "/api/v1/feedback?dayz=1")[0] == 422


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"answer": "maybe"}, 422, "accepted"),
        ({"answer": 1}, 422, "JSON string"),
        ({"study": "1.2.3"}, 404, "received here"),
        ({"study": "Doe^John"}, 422, "lists"),
        ({"tracking_uid": "2.25.8"}, 404, "lists them"),
        ({"result": "job-9"}, 404, "leave it out"),
        ({"patient": "x"}, 422, "known keys"),
        ({"comment": "x" * 2001}, 422, "2000"),
        ({"comment": "a\u0007b"}, 422, "printable"),
        ({"measurements": [{"name": "D", "value": 1, "unit": "mm"}]}, 422, "corrected"),
        ({"answer": "corrected", "measurements": {}}, 422, "Area"),
        ({"answer": "corrected", "measurements": [{"name": "D"}]}, 422, "Area"),
        (
            {"answer": "corrected", "measurements": [{"name": "D", "value": True, "unit": "mm"}]},
            422,
            "Area",
        ),
        (
            {"answer": "corrected", "measurements": [{"name": "", "value": 1, "unit": "mm"}]},
            422,
            "Area",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_remedy(
    client: Client, ledger: Ledger, changes: dict[str, Any], status: int, told: str
) -> None:
    found, answer = client.post(**changes)
    assert found == status
    assert told in answer["remedy"]
    assert ledger.feedback.answers() == ()


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff\xfe", b'{"a":' * 5000, b'{"a": NaN}'])
def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    status, told, _ = client.call("POST", "/api/v1/feedback", body)
    assert status in (400, 422)
    assert told["remedy"]


def test_infinite_numbers_are_refused(client: Client) -> None:
    body = (
        f'{{"study": "{STUDY}", "tracking_uid": "{LESION}", "answer": "corrected", '
        '"measurements": [{"name": "D", "value": Infinity, "unit": "mm"}]}'
    )
    status, told, _ = client.call("POST", "/api/v1/feedback", body.encode())
    assert (status, told["error"]) == (422, "the value of a measurement is not finite")


def test_a_body_that_is_too_large_or_of_unknown_length_is_refused(client: Client) -> None:
    status, told, _ = client.call("POST", "/api/v1/feedback", b" " * (MAX_BODY_BYTES + 1))
    assert status == 413
    assert str(MAX_BODY_BYTES) in told["remedy"]
    with socket.create_connection(("127.0.0.1", client.port), timeout=5) as raw:
        raw.sendall(b"POST /api/v1/feedback HTTP/1.0\r\nAuthorization: Bearer one\r\n\r\n")
        assert b" 411 " in raw.recv(200)


def test_other_pages_and_methods_are_refused(client: Client) -> None:
    assert client.call("GET", "/api/v2/feedback")[0] == 404
    status, _, headers = client.call("DELETE", "/api/v1/feedback", b"")
    assert (status, headers["Allow"]) == (405, "GET, POST")
    assert client.call("POST", f"/api/v1/studies/{STUDY}/findings", {})[0] == 405
    assert client.call("POST", "/metrics", b"")[0] == 404
    assert client.call("GET", "/api/v1/studies/1.2.3.99/findings")[0] == 404


def test_how_each_model_ended_stands_beside_its_findings(client: Client, ledger: Ledger) -> None:
    """An empty list of results alone would read as negative."""
    study = ledger.studies.get(STUDY)
    assert study is not None
    generation = study.generation
    for model, verdict, reason in (
        ("fractures", "not eligible", "no bone kernel"),
        ("lungs", "failed", "a header is damaged"),
        ("emboli", "run", ""),
    ):
        row = VerdictRow("1.2.3", model, verdict, reason, "CT", generation, 1.0)
        ledger.studies.set_verdict(STUDY, generation, row)
    queued = Job(
        key="job-9",
        study_uid=StudyUID(STUDY),
        candidates=(StackID("1.2.3"),),
        model=ModelName("silent"),
        generation=1,
        priority=1,
        predecessor="",
    )
    ledger.jobs.add(queued, destinations=())
    job = ledger.jobs.claim("test", 60)
    assert job is not None
    ledger.jobs.finish(job, JobState.DONE)
    item = ResultObject(
        sop_instance_uid="1.2.840.1.9",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        study_uid=STUDY,
        series_uid="1.2.3.4",
        job_key="job-9",
        kind="report",
        instance_number=1,
        path=ledger.root / "report.dcm",
    )
    ledger.outbox.add([item], ())
    assert analyses(client) == {
        "emboli": ("unfinished", "", None),
        "fractures": ("not eligible", "no bone kernel", None),
        "lungs": ("failed", "a header is damaged", None),
        "nodules": ("done", "", 1),
        "silent": ("done", "", None),
    }
    # Only a report that was read can say that nothing was found.
    ledger.findings.record(
        item, Report(sop_instance_uid="1.2.840.1.9", study_uid=STUDY, findings=())
    )
    assert analyses(client)["silent"] == ("done", "", 0)


def analyses(client: Client) -> dict[str, tuple[str, str, int | None]]:
    _, told, _ = client.call("GET", f"/api/v1/studies/{STUDY}/findings")
    return {
        one["model"]: (one["outcome"], one["reason"], one["findings"]) for one in told["analyses"]
    }


def test_a_ledger_that_cannot_be_read_is_told_as_such(client: Client, ledger: Ledger) -> None:
    ledger._database._connection.execute("DROP TABLE finding")
    status, told, _ = client.call("GET", f"/api/v1/studies/{STUDY}/findings")
    assert (status, told["error"]) == (503, "the ledger cannot be used now")


def test_a_result_in_part_is_told_as_such(client: Client, ledger: Ledger) -> None:
    ledger._database._connection.execute("UPDATE job SET reason='metal in 3 slices'")
    assert analyses(client) == {"nodules": ("done in part", "metal in 3 slices", 1)}


def test_the_shared_token_speaks_for_nobody_who_has_a_token(client: Client, ledger: Ledger) -> None:
    status, told = client.post("shared secret", reader="reader-1", answer="rejected")
    assert (status, told["error"]) == (403, "this reader has a token of their own")
    assert ledger.feedback.answers() == ()


def test_the_later_word_counts_when_the_clock_was_set_back(
    client: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now, answer in ((1000.0, "accepted"), (400.0, "rejected"), (400.0, "corrected")):
        monkeypatch.setattr(ledger.feedback, "now", lambda now=now: now)
        assert client.post(answer=answer)[0] == 201
    assert [one.is_current for one in ledger.feedback.answers()] == [False, False, True]
    assert client.findings()[0]["findings"][0]["answers"][-1]["answer"] == "corrected"
