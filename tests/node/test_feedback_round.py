"""A reader answers: by curl, and by a structured report that dcmsend brings back."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from node.demo.pacs import SmallPacs
from node.demo.simulated import simulate
from node.domain.feedback import Answer
from tests.node.reader_sr import Options, Said, answer_to, verified_copy
from tests.node.serving import Serving, serving, wait_for

NEEDED = ("dcmsend", "curl")
missing = [program for program in NEEDED if shutil.which(program) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
]
TOKEN = "a token of reader one"


def curl(node: Serving, path: str, *arguments: str) -> Any:
    found = subprocess.run(
        [
            "curl",
            "-sS",
            "-H",
            f"Authorization: Bearer {TOKEN}",
            *arguments,
            f"http://127.0.0.1:{node.http_port}/api/v1/{path}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(found.stdout)


def counted(node: Serving) -> dict[str, float]:
    """What /metrics counts of answers: "answer source" -> number."""
    _, metrics = node.get("/metrics")
    pattern = r'vigie_feedback_total\{.*answer="(\w+)".*source="(\w+)".*\} ([0-9.]+)'
    found = re.findall(pattern, metrics)
    return {f"{answer} {source}": float(number) for answer, source, number in found}


def send(node: Serving, document: Dataset, path: Path) -> None:
    path.mkdir()
    document.save_as(path / "report.dcm", enforce_file_format=True)
    node.send(path)


@dataclass
class Ward:
    """A running node with one analysed study, and what its report found."""

    node: Serving
    pacs: SmallPacs
    images: list[Dataset]
    study_uid: str = ""
    findings: dict[str, str] = field(default_factory=dict)

    def analysed(self) -> None:
        (self.study_uid,) = self.node.states()
        assert wait_for(lambda: bool(self.results()), 30)
        (result,) = self.results()
        self.findings = {f["tracking_identifier"]: f["tracking_uid"] for f in result["findings"]}
        assert "L3 skeletal muscle" in self.findings

    def results(self) -> Any:
        return curl(self.node, f"studies/{self.study_uid}/findings")["results"]

    def explained(self) -> str:
        return self.node.command("explain", self.study_uid).stdout


def answer_by_curl(ward: Ward) -> dict[str, float]:
    muscle = ward.findings["L3 skeletal muscle"]
    answer = {"study": ward.study_uid, "tracking_uid": muscle, "answer": "accepted"}
    posted = curl(ward.node, "feedback", "-d", json.dumps(answer))
    assert (posted["new"], posted["answer"]["reader"]) == (True, "reader-1")
    assert curl(ward.node, "feedback", "-d", json.dumps(answer))["new"] is False
    return {"accepted api": 1.0}


def answer_by_reports(ward: Ward, folder: Path, before: dict[str, float]) -> dict[str, float]:
    """A changed number, a rejection, then a verified copy; each sent by dcmsend."""
    (report,) = (r for r in map(dcmread, ward.pacs.files()) if r.Modality == "SR")
    other = next(name for name in ward.findings if name != "L3 skeletal muscle")
    said = {
        "L3 skeletal muscle": Said(area=123.4, comment="psoas was left out"),
        other: Said(answer=Answer.REJECTED),
    }
    send(ward.node, answer_to(report, ward.images, said, Options()), folder / "first")
    both = before | {"corrected sr": 1.0, "rejected sr": 1.0}
    assert wait_for(lambda: counted(ward.node) == both, 30), counted(ward.node)
    # The same again changes nothing; a verified copy accepts all of it.
    ward.node.send(folder / "first")
    send(ward.node, verified_copy(report, uid="2.25.4711"), folder / "verified")
    everything = both | {"accepted sr": float(len(ward.findings))}
    assert wait_for(lambda: counted(ward.node) == everything, 30), counted(ward.node)
    return everything


def everything_is_explained(ward: Ward) -> None:
    explained = ward.explained()
    for told in (
        "corrected by Lovelace^Ada",
        "measured instead: Area 123.4 cm2",
        "rejected by Lovelace^Ada",
        "accepted by 4711 99STAFF",
        "accepted by reader-1",
        "reader's report: answered",
    ):
        assert told in explained
    # Nothing was analysed again.
    assert explained.count("job queued") == 1
    assert "reopened" not in explained
    log = ward.node.log.read_text()
    for hidden in ("Lovelace", "psoas was left out", TOKEN):
        assert hidden not in log
    status = ward.node.command("status").stdout
    assert f"answers of readers: {len(ward.findings) + 1} accepted, 1 rejected" in status


def a_newer_result_keeps_them(ward: Ward) -> str:
    """After a rerun; returns the key of the older result."""
    delivered = len(ward.pacs.files())
    assert ward.node.command("rerun", ward.study_uid).returncode == 0
    assert wait_for(lambda: len(ward.pacs.files()) > delivered, 240)
    assert wait_for(lambda: set(ward.node.states().values()) == {"ended"}, 240)
    assert wait_for(lambda: len(ward.results()) == 2, 30)
    newer, older = ward.results()
    assert [newer["current"], older["current"]] == [True, False]
    again = {f["tracking_uid"]: f for f in newer["findings"]}
    assert set(again) == set(ward.findings.values())
    muscle = again[ward.findings["L3 skeletal muscle"]]
    assert muscle["answers"] == []
    assert len(muscle["answers_to_other_results"]) == 3
    ledger = ward.node.ledger()
    study = ledger.studies.get(ward.study_uid)
    assert study is not None
    verdicts = ledger.studies.verdicts(ward.study_uid, study.generation)
    # Three documents lie in the study; only the images were judged.
    assert {v.series_uid for v in verdicts} == {str(ward.images[0].SeriesInstanceUID)}
    ledger.close()
    return str(older["result"])


def test_answers_come_by_both_ways_and_start_no_analysis(tmp_path: Path) -> None:
    simulated = simulate(0, tmp_path / "study", matrix=256)
    images = [dcmread(path) for path in sorted(simulated.folder.rglob("*.dcm"))]
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    pacs = SmallPacs(tmp_path / "pacs")
    pacs.start()
    api = f"api_tokens: {{reader-1: 'file:{token}'}}"
    try:
        with serving(tmp_path, pacs_port=pacs.port, api=api) as node:
            node.send(simulated.folder)
            assert wait_for(lambda: set(node.states().values()) == {"ended"}, 240), node.states()
            ward = Ward(node, pacs, images)
            ward.analysed()
            delivered = len(pacs.files())
            everything = answer_by_reports(ward, tmp_path, answer_by_curl(ward))
            assert len(pacs.files()) == delivered
            everything_is_explained(ward)
            older = a_newer_result_keeps_them(ward)
        with serving(tmp_path, pacs_port=pacs.port, api=api) as node:
            assert counted(node) == everything
            assert node.command("feedback").stdout.count("body_composition") == 1
            table = node.command("feedback", "--csv", "--days", "1").stdout
            rows = list(csv.DictReader(StringIO(table)))
            assert len(rows) == sum(everything.values())
            assert {row["result"] for row in rows} == {older}
            assert "comment" not in rows[0]
            told = json.loads(node.command("feedback", "--json", "--comments").stdout)
            assert told["models"][0]["findings"] == 2 * len(ward.findings)
            assert "psoas was left out" in {row["comment"] for row in told["answers"]}
    finally:
        pacs.stop()


def test_damaged_and_foreign_reports_are_told_and_harm_nothing(tmp_path: Path) -> None:
    simulated = simulate(1, tmp_path / "study", matrix=256)
    pacs = SmallPacs(tmp_path / "pacs")
    pacs.start()
    try:
        with serving(tmp_path, pacs_port=pacs.port) as node:
            node.send(simulated.folder)
            assert wait_for(lambda: set(node.states().values()) == {"ended"}, 240), node.states()
            (study_uid,) = node.states()
            (report,) = (r for r in map(dcmread, pacs.files()) if r.Modality == "SR")
            images = [dcmread(path) for path in sorted(simulated.folder.rglob("*.dcm"))]
            foreign = answer_to(report, images, {}, Options(own_findings=["2.25.99"]))
            send(node, foreign, tmp_path / "foreign")
            damaged = answer_to(report, images, {}, Options(uid="2.25.5", own_findings=["2.25.98"]))
            del damaged.ContentSequence
            send(node, damaged, tmp_path / "damaged")
            told = 'vigie_reader_documents{state="cannot be read"} 1.0'
            assert wait_for(lambda: told in node.get("/metrics")[1], 30)
            explained = node.command("explain", study_uid).stdout
            assert "names none of its findings" in explained
            assert "2.25.99" in explained
            assert "reader's report: cannot be read: 2.25.5 from" in explained
            assert set(node.states().values()) == {"ended"}
            status, closed = node.get("/api/v1/feedback")
            assert status == 403
            assert "http.api_token" in json.loads(closed)["remedy"]
    finally:
        pacs.stop()
