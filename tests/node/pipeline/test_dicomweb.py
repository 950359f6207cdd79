"""Results by STOW-RS, judged instance by instance, proved by QIDO-RS, never without TLS checks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SegmentationStorage

from config.secret import SecretFile
from node.ledger.states import DeliveryState
from node.pipeline.answers import CLASS, Accepted, Passing, RefusedForGood
from node.pipeline.dicomweb import WebPeer, judge_stow, probe
from tests.node.pipeline.delivering import HOUR_S, Rig, capture, free_port
from tests.node.pipeline.webserver import WebPacs


def peer(url: str, **changes: Any) -> WebPeer:
    token: Callable[[], str] | None = changes.get("token")
    return WebPeer(
        url=url,
        token=token,
        ca_file=changes.get("ca_file"),
        connect_timeout_s=2,
        response_timeout_s=changes.get("response_timeout_s", 5),
    )


@contextmanager
def running(folder: Path, pacs: WebPacs, **changes: Any) -> Iterator[Rig]:
    pacs.start()
    rig = Rig(folder, 1, options={"peer": peer(pacs.url, **changes)})
    try:
        yield rig
    finally:
        rig.ledger.close()
        pacs.stop()


def test_object_is_stored_and_read_back(tmp_path: Path) -> None:
    pacs = WebPacs()
    with running(tmp_path, pacs) as rig:
        made, objects = rig.result()
        assert rig.run(5) == len(objects)
        assert sorted(pacs.received) == sorted(item.sop_instance_uid for item in objects)
        assert {(i.state, i.how) for i in rig.deliveries(made.study.study_uid)} == {
            (DeliveryState.PROVED, "query")
        }


def test_object_that_is_not_kept_is_sent_again_and_set_aside(tmp_path: Path) -> None:
    pacs = WebPacs()
    pacs.forgets = lambda _uid: True
    with running(tmp_path, pacs) as rig:
        rig.queue(capture(tmp_path))
        rig.run(2 * HOUR_S, step_s=60)
        assert rig.only().state is DeliveryState.SET_ASIDE
        assert len(pacs.received) == 3


def test_service_without_a_query_leaves_the_object_unproved(tmp_path: Path) -> None:
    pacs = WebPacs()
    pacs.qido = False
    with running(tmp_path, pacs) as rig:
        rig.queue(capture(tmp_path))
        rig.run(HOUR_S, step_s=60)
        assert rig.only().state is DeliveryState.UNPROVED
        assert "QIDO-RS was answered with HTTP 501" in rig.only().cause


def test_class_that_the_service_refuses_goes_down_the_ladder(tmp_path: Path) -> None:
    pacs = WebPacs()
    with running(tmp_path, pacs) as rig:
        made, objects = rig.result()
        segmentation = {
            i.sop_instance_uid for i in objects if i.sop_class_uid == SegmentationStorage
        }
        pacs.failure = lambda uid: 0x0122 if uid in segmentation else 0
        rig.run(5)
        states = {i.object.kind: i for i in rig.deliveries(made.study.study_uid)}
        assert states["segmentation"].state is DeliveryState.REFUSED
        assert "SOP class not supported (0x0122)" in states["segmentation"].cause
        assert states["segmentation as pages"].state is DeliveryState.PROVED
        assert f"{CLASS} {SegmentationStorage}" in rig.ledger.peers.known("pacs", "", for_s=60)


def test_token_is_sent_and_read_anew_for_each_association(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("old\n")
    pacs = WebPacs()
    pacs.token = "new"
    with running(tmp_path, pacs, token=SecretFile(secret).read) as rig:
        rig.queue(capture(tmp_path))
        rig.run()
        assert rig.only().state is DeliveryState.WAITING
        assert "HTTP 401: not authorised; check the token" in rig.only().cause
        secret.write_text("new\n")
        rig.run(10)
        assert rig.only().state is DeliveryState.PROVED
        assert pacs.authorizations == ["Bearer old", "Bearer new"]


def test_dead_and_slow_services_lose_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path, 1, options={"peer": peer(f"http://127.0.0.1:{free_port()}/rs")})
    rig.queue(*(capture(tmp_path) for _ in range(4)))
    rig.run(HOUR_S, step_s=60)
    assert rig.courier.breaker.is_open
    assert set(rig.states()) == {DeliveryState.WAITING}
    assert any("cannot be reached" in item.cause for item in rig.deliveries())
    pacs = WebPacs().start()
    pacs.slow_s = 0.5
    try:
        rig.hire(peer=peer(pacs.url, response_timeout_s=0.1))
        rig.run(10)
        assert any("no answer in time" in item.cause for item in rig.deliveries())
        pacs.slow_s = 0.0
        rig.run(HOUR_S, step_s=60)
        assert set(rig.states()) == {DeliveryState.PROVED}
    finally:
        pacs.stop()
        rig.ledger.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="not installed: openssl")
def test_certificate_is_verified(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make, *files], check=True, capture_output=True)
    pacs = WebPacs(certificate=(str(certificate), str(key)))
    with running(tmp_path, pacs) as rig:
        rig.queue(capture(tmp_path))
        rig.run(2)
        assert not pacs.received
        assert "certificate is not trusted" in rig.only().cause
        assert "set 'ca_file'" in probe(peer(pacs.url))
        rig.hire(peer=peer(pacs.url, ca_file=certificate))
        rig.run(10)
        assert rig.only().state is DeliveryState.PROVED
        assert probe(peer(pacs.url, ca_file=certificate)) == ""


def failed(reason: object) -> dict[str, Any]:
    return {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [reason]}}]}}


@pytest.mark.parametrize(
    ("http_status", "answer", "kind"),
    [
        (200, {"00081199": {"vr": "SQ", "Value": [{}]}}, Accepted),
        (200, None, Accepted),
        (202, failed(0xA700), Passing),
        (409, failed(0xA900), RefusedForGood),
        (409, failed(0x0110), Passing),
        (409, failed("nonsense"), RefusedForGood),
        (409, None, RefusedForGood),
        (400, ["not", "an", "object"], RefusedForGood),
        (413, None, RefusedForGood),
        (415, None, RefusedForGood),
        (404, None, Passing),
        (301, None, Passing),
        (429, None, Passing),
        (503, None, Passing),
        (502, None, Passing),
        (500, None, Passing),
    ],
)
def test_each_answer_is_read_as_the_standard_means_it(
    http_status: int, answer: object, kind: type
) -> None:
    assert isinstance(judge_stow(http_status, answer), kind)


def test_warning_of_the_service_is_kept() -> None:
    coerced = {"00081196": {"vr": "US", "Value": [0xB000]}}
    answer = judge_stow(202, {"00081199": {"vr": "SQ", "Value": [coerced]}})
    assert answer == Accepted("warning 0xB000")


def test_probe_names_what_to_check() -> None:
    assert "cannot be reached" in probe(peer(f"http://127.0.0.1:{free_port()}/rs"))
