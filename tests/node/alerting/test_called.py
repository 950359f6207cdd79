"""A whole node with an acute finding: who is called, once, and who is told that it was wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.pacs import SmallPacs
from node.ledger.alerts import AlertState
from tests.node.alerting.acute import acute_node, ct
from tests.node.alerting.receivers import engine, http_server, smtp_server
from tests.node.serving import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ALERTS = """\
alerts:
  patient_data: accession
  channels:
    pager: {{type: webhook, url: "http://127.0.0.1:{http}/in", secret: "file:{secret}",
             timeout_s: 5, retry_first_s: 0.5, retry_cap_s: 1}}
    mail: {{type: email, host: 127.0.0.1, port: {smtp}, security: none,
            sender: vigie@hospital.example, recipients: [duty@hospital.example]}}
    ris: {{type: hl7, host: 127.0.0.1, port: {hl7}, receiving_application: RIS}}
  findings:
    embolism: {{findings: [embolism], at_least: 85, channels: [pager, mail, ris],
                text: "Look at {{accession_number}}: {{finding}}, {{score}}"}}
  events:
    all: {{events: [disk_full, destination_dead, result_held_back], channels: [pager, mail]}}
  destination_dead_after_hours: 0.01
"""


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    running = SmallPacs(tmp_path / "pacs")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("swordfish\n")
    path.chmod(0o600)
    return path


def test_an_acute_finding_calls_each_channel_once_and_is_taken_back_when_it_is_gone(
    tmp_path: Path, pacs: SmallPacs, secret: Path
) -> None:
    with http_server() as pager, smtp_server() as mail, engine() as ris:
        alerts = ALERTS.format(http=pager.port, smtp=mail.port, hl7=ris.port, secret=secret)
        with acute_node(tmp_path, pacs_port=pacs.port, alerts=alerts) as node:
            study = node.send(ct(tmp_path / "ct", brightest=1910))
            assert node.ended(study)
            assert wait_for(lambda: bool(pager.posts and mail.mails and ris.messages), 20)
            told = json.loads(pager.posts[0][2])
            assert told["text"] == "Look at ACC-7: Pulmonary embolism, 91 %\nRESEARCH, UNVERIFIED"
            assert told["accession_number"] == "ACC-7"
            assert "patient" not in told
            assert "OBR|1||" in ris.messages[0]
            assert "|ACC-7|" in ris.messages[0]
            assert "VIGIE-0001" not in ris.messages[0] + str(mail.mails[0][2]) + str(told)

            assert node.command("rerun", study).returncode == 0
            assert wait_for(lambda: len(pacs.files()) >= 4, 60)
            assert node.ended(study)
            assert (len(pager.posts), len(mail.mails), len(ris.messages)) == (1, 1, 1)

            # A late slice with an artefact: the newer result no longer holds the finding.
            node.send(ct(tmp_path / "late", brightest=3000, first=8, slices=2))
            assert wait_for(lambda: len(pager.posts) == 2 and len(ris.messages) == 2, 60)
            assert wait_for(lambda: len(mail.mails) == 2, 20)
            correction = json.loads(pager.posts[1][2])
            assert (correction["kind"], correction["corrects"]) == ("correction", told["alert"])
            assert "not found" in correction["reason"]
            assert "|C" in ris.messages[1]

            explained = node.command("explain", study).stdout
            assert "alert: finding embolism to ris (rule embolism): sent " in explained
            assert "acknowledged: AA" in explained
            assert "correction embolism to pager" in explained
            assert "no alert: embolism to mail: told already (sent)" in explained
            _, metrics = node.get("/metrics")
            assert 'vigie_alerts_total{channel="ris",outcome="sent"} 2.0' in metrics
            doctor = " ".join(node.command("doctor").stdout.split())
            for line in ("alerts pager good", "alerts mail good", "alerts ris good"):
                assert line in doctor, doctor
            assert len(ris.messages) == 2
            assert "ACC-7" not in (tmp_path / "node.log").read_text()


def test_below_the_threshold_of_the_rule_nobody_is_called_and_explain_says_why(
    tmp_path: Path, pacs: SmallPacs, secret: Path
) -> None:
    with http_server() as pager:
        alerts = ALERTS.format(http=pager.port, smtp=1, hl7=1, secret=secret)
        with acute_node(tmp_path, pacs_port=pacs.port, alerts=alerts) as node:
            study = node.send(ct(tmp_path / "ct", brightest=1830))
            assert node.ended(study)
            explained = node.command("explain", study).stdout
            assert "no alert: embolism, rule embolism: 83 % is below the 85 % of the rule" in (
                explained
            )
            assert node.alerts(study) == []
            assert pager.posts == []


def test_an_alert_survives_kill_9_while_it_waits_and_while_it_is_sent(
    tmp_path: Path, pacs: SmallPacs, secret: Path
) -> None:
    with http_server() as pager:
        alerts = ALERTS.format(http=pager.port, smtp=1, hl7=1, secret=secret)
        pager.answers = [503] * 1000
        with acute_node(tmp_path, pacs_port=pacs.port, alerts=alerts) as node:
            study = node.send(ct(tmp_path / "ct", brightest=1910))
            assert node.ended(study)
            assert wait_for(lambda: len(pager.posts) >= 2, 20)
            node.kill()
        pager.answers, pager.delay_s = [], 30.0
        before = len(pager.posts)
        with acute_node(tmp_path, pacs_port=pacs.port, alerts=alerts) as node:
            assert wait_for(lambda: len(pager.posts) > before, 20)
            node.kill()
        pager.delay_s = 0.0
        before = len(pager.posts)
        with acute_node(tmp_path, pacs_port=pacs.port, alerts=alerts) as node:

            def sent() -> bool:
                return any(row.state is AlertState.SENT for row in node.alerts(study))

            assert wait_for(sent, 20)
            assert len(pager.posts) == before + 1
        assert len({headers["Idempotency-Key"] for _, headers, _ in pager.posts}) == 1


def test_a_dead_destination_calls_once_and_recovers(
    tmp_path: Path, pacs: SmallPacs, secret: Path
) -> None:
    pacs.stop()
    with http_server() as pager:
        alerts = ALERTS.format(http=pager.port, smtp=1, hl7=1, secret=secret)
        with acute_node(tmp_path, pacs_port=pacs.port, alerts=alerts) as node:
            node.send(ct(tmp_path / "ct", brightest=300))
            assert wait_for(lambda: bool(pager.posts), 90)
            told = json.loads(pager.posts[0][2])
            assert told["kind"] == "event"
            assert told["trouble"]["about"] == "pacs"
            assert "doctor" in told["text"]
        with acute_node(tmp_path, pacs_port=pacs.port, alerts=alerts) as node:
            assert not wait_for(lambda: len(pager.posts) > 1, 15)
