"""Each channel over real sockets: what arrives, and what becomes of a receiver that refuses."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from node.ledger.alerts import AlertKind
from node.pipeline.alerting.mail import Mail, MailSettings
from node.pipeline.alerting.message import Identity, Message
from node.pipeline.alerting.mllp import Mllp, MllpSettings
from node.pipeline.alerting.oru import Parties
from node.pipeline.alerting.webhook import Webhook, WebhookSettings
from node.pipeline.alerting.wire import Passing, RefusedForGood, Sent
from tests.node.alerting.receivers import (
    FACTS,
    PERSON,
    Engine,
    acknowledgement,
    certificate,
    engine,
    http_server,
    smtp_server,
)

KEY = "0123456789abcdef0123456789abcdef01234567"
OLD = "f" * 40
ALERT = Message(
    key=KEY,
    kind=AlertKind.FINDING,
    rule="embolism",
    node="vigie",
    created_at=datetime(2026, 11, 24, 2, 30, tzinfo=UTC),
    subject="Vigie: please look at a study (Pulmonary embolism)",
    text="Please look at this study: Pulmonary embolism | 91 %.\nRESEARCH, UNVERIFIED",
    label="RESEARCH, UNVERIFIED",
    study_uid="1.2.3",
    facts=FACTS,
)
CORRECTION = replace(
    ALERT, kind=AlertKind.CORRECTION, corrects=OLD, facts=FACTS | {"reason": "not found"}
)


def webhook(port: int, **changes: object) -> Webhook:
    settings = WebhookSettings(
        name="pager",
        url=f"http://127.0.0.1:{port}/in?x=1",
        secret=lambda: "swordfish",
        timeout_s=2,
    )
    return Webhook(replace(settings, **changes), clock=lambda: 1000.7)  # type: ignore[arg-type]


def test_webhook_is_json_signed_so_that_its_receiver_knows_it_and_its_age() -> None:
    with http_server() as server:
        assert webhook(server.port).send(ALERT) == Sent("HTTP 200", "HTTP 200")
    ((_, headers, body),) = server.posts
    assert headers["Idempotency-Key"] == KEY
    stamp, signature = headers["X-Vigie-Signature"].split(",")
    expected = hmac.new(b"swordfish", b"1000." + body, hashlib.sha256).hexdigest()
    assert (stamp, signature) == ("t=1000", f"v1={expected}")
    told = json.loads(body)
    assert told["kind"] == "finding"
    assert told["label"] == "RESEARCH, UNVERIFIED"
    assert told["finding"]["code"] == "59282003"
    assert told["study_uid"] == "1.2.3"
    assert "patient" not in told
    assert "accession_number" not in told


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (204, Sent, "HTTP 204"),
        (422, RefusedForGood, "cannot use the message"),
        (404, Passing, "did not take it"),
        (503, Passing, "did not take it"),
        (302, Passing, "a redirection, which is not followed"),
    ],
)
def test_webhook_knows_what_will_pass_and_what_not(status: int, kind: type, told: str) -> None:
    with http_server() as server:
        server.answers.append(status)
        outcome = webhook(server.port).send(ALERT)
    assert isinstance(outcome, kind)
    assert told in str(outcome)
    assert len(server.requests) == 1


def test_webhook_that_is_silent_or_drips_is_left_in_time() -> None:
    with http_server() as server:
        for delay_s, drip_s in ((3.0, 0.0), (0.0, 0.3)):
            server.delay_s, server.drip_s = delay_s, drip_s
            started = time.monotonic()
            assert isinstance(webhook(server.port, timeout_s=1).send(ALERT), Passing)
            assert time.monotonic() - started < 2.5


def test_webhook_nobody_listens_to_is_told_with_the_remedy() -> None:
    outcome = webhook(1).send(ALERT)
    assert isinstance(outcome, Passing)
    assert "nobody listens there; check host and port" in outcome.cause
    assert "nobody listens there" in webhook(1).probe().fault


def test_webhook_verifies_the_certificate(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    with http_server(made.server) as server:
        url = f"https://127.0.0.1:{server.port}/in"
        refused = webhook(0, url=url).send(ALERT)
        assert isinstance(refused, Passing)
        assert "its certificate is not trusted" in refused.cause
        assert "set ca_file" in webhook(0, url=url).probe().fault
        assert server.requests == []
        trusting = webhook(0, url=url, ca_file=made.ca_file)
        assert isinstance(trusting.send(ALERT), Sent)
        assert trusting.probe().told == "TLS good, answers OPTIONS with HTTP 200"
    assert [method for method, *_ in server.requests] == ["POST", "OPTIONS"]


def mail(port: int, **changes: object) -> Mail:
    settings = MailSettings(
        name="mail",
        host="127.0.0.1",
        port=port,
        security="none",
        sender="vigie@hospital.example",
        recipients=("duty@hospital.example", "it@hospital.example"),
        timeout_s=2,
    )
    return Mail(replace(settings, **changes))  # type: ignore[arg-type]


def test_mail_goes_to_every_recipient_and_its_correction_hangs_below_it() -> None:
    with smtp_server() as server:
        assert mail(server.port).send(ALERT) == Sent("taken for 2 recipients", "SMTP 250")
        mail(server.port).send(CORRECTION)
        assert mail(server.port).probe().told == "not encrypted, NOOP 250"
    (sender, recipients, first), (_, _, second) = server.mails
    assert sender == "vigie@hospital.example"
    assert recipients == ["duty@hospital.example", "it@hospital.example"]
    assert first["Subject"] == ALERT.subject
    assert first["Message-ID"] == f"<{KEY}@hospital.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert "RESEARCH, UNVERIFIED" in first.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert second["In-Reply-To"] == f"<{OLD}@hospital.example>"


def test_mail_uses_starttls_and_logs_in_and_refuses_to_go_without(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    login = {"username": "vigie", "password": lambda: "swordfish"}
    with smtp_server(starttls=made.server, login=("vigie", "swordfish")) as server:
        secure = {"security": "starttls", "ca_file": made.ca_file, **login}
        assert isinstance(mail(server.port, **secure).send(ALERT), Sent)
        assert mail(server.port, **secure).probe().told == "STARTTLS good, logged in, NOOP 250"
        untrusted = mail(server.port, security="starttls", **login).send(ALERT)
        assert isinstance(untrusted, Passing)
        assert "certificate is not trusted" in untrusted.cause
        wrong = mail(server.port, **(secure | {"password": lambda: "x"})).send(ALERT)
        assert isinstance(wrong, Passing)
        assert "username and password" in wrong.cause
        assert "SMTP 535" in mail(server.port, **(secure | {"password": lambda: "x"})).probe().fault
    with smtp_server() as plain:
        refused = mail(plain.port, security="starttls").send(ALERT)
        assert isinstance(refused, Passing)
        assert "does not offer" in refused.cause
        assert plain.mails == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("450 4.2.0 greylisted", Passing), ("554 5.7.1 rejected", RefusedForGood)],
)
def test_mail_that_the_server_does_not_take(answer: str, kind: type) -> None:
    with smtp_server() as server:
        server.answer = answer
        assert isinstance(mail(server.port).send(ALERT), kind)


def test_mail_counts_when_some_recipient_has_it_and_not_when_none_has() -> None:
    with smtp_server() as server:
        server.refusals["it@hospital.example"] = "550 no such user"
        assert mail(server.port).send(ALERT) == Sent(
            "taken for 1 recipients, 1 refused", "SMTP 250"
        )
        server.refusals["duty@hospital.example"] = "550 no such user"
        refused = mail(server.port).send(ALERT)
        assert isinstance(refused, RefusedForGood)
        assert "refuses every recipient" in refused.cause
        server.refusals["duty@hospital.example"] = "451 try later"
        assert isinstance(mail(server.port).send(ALERT), RefusedForGood)


def hl7(port: int, **changes: object) -> Mllp:
    settings = MllpSettings(
        name="ris",
        host="127.0.0.1",
        port=port,
        tls=False,
        parties=Parties(
            sending_application="VIGIE",
            sending_facility="",
            receiving_application="RIS",
            receiving_facility="HOSPITAL",
        ),
        timeout_s=2,
    )
    return Mllp(replace(settings, **changes))  # type: ignore[arg-type]


def test_hl7_message_is_a_valid_oru_r01_without_a_word_about_the_patient() -> None:
    with engine() as ris:
        assert hl7(ris.port).send(ALERT) == Sent("AA", "AA")
    (text,) = ris.messages
    assert "PID|" not in text
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    assert parsed.validate()
    header = parsed.msh
    assert header.msh_9.value == "ORU^R01^ORU_R01"
    assert header.msh_10.value == KEY[:20]
    assert (header.msh_5.value, header.msh_6.value) == ("RIS", "HOSPITAL")
    segments = [segment.split("|") for segment in text.split("\r")]
    request = next(s for s in segments if s[0] == "OBR")
    assert request[3] == f"{KEY}^VIGIE"
    assert request[4] == "59282003^Pulmonary embolism^SCT"
    assert request[25] == "P"
    observed = [s for s in segments if s[0] == "OBX"]
    assert observed[0][2:4] == ["TX", "59282003^Pulmonary embolism^SCT"]
    assert observed[0][5] == "Please look at this study: Pulmonary embolism \\F\\ 91 %."
    assert observed[0][8] == "AA"
    assert observed[1][5] == "RESEARCH, UNVERIFIED"
    assert observed[2][2:7] == ["NM", "111012^Score^DCM", "", "91", "%^%^UCUM"]
    assert observed[3][2:6] == ["HD", "113014^DICOM Study^DCM", "", "^1.2.3^ISO"]


def test_hl7_identity_is_escaped_and_a_correction_keeps_the_order_number() -> None:
    with engine() as ris:
        hl7(ris.port).send(replace(ALERT, identity=PERSON))
        hl7(ris.port).send(CORRECTION)
        hl7(ris.port).send(replace(ALERT, identity=Identity(accession_number="A1")))
    first, second, third = (
        {line.split("|")[0]: line.split("|") for line in text.split("\r")} for text in ris.messages
    )
    assert parse_message(ris.messages[0], validation_level=VALIDATION_LEVEL.STRICT).validate()
    assert first["PID"][3] == "4711\\S\\A"
    assert first["PID"][5] == "Müller\\F\\x^Ann^^II^Dr."
    assert first["PID"][7] == "19600704"
    assert first["OBR"][18] == "ACC\\F\\7"
    assert second["OBR"][3] == f"{OLD}^VIGIE"
    assert second["OBR"][25] == "C"
    assert parse_message(ris.messages[1], validation_level=VALIDATION_LEVEL.STRICT).validate()
    assert "PID" not in third
    assert third["OBR"][18] == "A1"


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (lambda t: acknowledgement(t, "AE", "no such patient"), RefusedForGood, "AE: no such"),
        (lambda t: acknowledgement(t, "CE"), RefusedForGood, "CE"),
        (lambda t: acknowledgement(t, "AR", "down"), Passing, "AR: down"),
        (lambda t: acknowledgement(t, "CA"), Sent, "CA"),
        (lambda t: acknowledgement(t, "AA").replace(KEY[:20], "x"), Passing, "another message"),
        (lambda t: "hello", Passing, "no HL7 acknowledgement"),
        (lambda t: "", Passing, "no HL7 acknowledgement"),
        (lambda t: None, Passing, "no acknowledgement came back"),
    ],
)
def test_hl7_acknowledgement_decides(
    answer: Callable[[str], str | None], kind: type, told: str
) -> None:
    with engine() as ris:
        ris.answer = answer
        outcome = hl7(ris.port).send(ALERT)
    assert isinstance(outcome, kind), outcome
    assert told in str(outcome)


def test_hl7_engine_that_never_answers_is_left_in_time() -> None:
    def never(text: str) -> str:
        time.sleep(3)
        return acknowledgement(text, "AA")

    with engine() as ris:
        ris.answer = never
        started = time.monotonic()
        assert isinstance(hl7(ris.port, timeout_s=1).send(ALERT), Passing)
        assert time.monotonic() - started < 2.5


def test_hl7_by_tls_verifies_and_a_probe_sends_nothing(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    with engine(made.server) as ris:
        secure = hl7(ris.port, tls=True, ca_file=made.ca_file)
        assert secure.probe().told == "TLS good, no message sent"
        assert "certificate is not trusted" in hl7(ris.port, tls=True).probe().fault
        assert isinstance(secure.send(ALERT), Sent)
    assert len(ris.messages) == 1
    assert isinstance(ris, Engine)
