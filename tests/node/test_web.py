"""Probes tell the truth, and metrics can be closed."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from node.domain.errors import ConfigError
from node.requests import Request, Response
from node.web import Probes, Web, WebSettings

FAULTS: dict[str, str] = {}


@pytest.fixture
def web() -> Iterator[Web]:
    FAULTS.clear()
    running = Web(
        WebSettings(host="127.0.0.1", port=0, metrics_token="secret"),
        Probes(metrics=lambda: b"vigie_x 1\n", faults=lambda: FAULTS, unready=lambda: FAULTS),
    )
    running.start()
    yield running
    running.stop()


def get(web: Web, path: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{web.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_ready_turns_into_unavailable_with_the_part_that_is_missing(web: Web) -> None:
    assert get(web, "/readyz")[0] == 200
    FAULTS["models"] = "body_composition: golden case not reproduced"
    status, body = get(web, "/readyz")
    assert status == 503
    assert json.loads(body)["faults"] == FAULTS


def test_metrics_ask_for_the_token_and_health_does_not(web: Web) -> None:
    assert get(web, "/healthz")[0] == 200
    assert get(web, "/metrics")[0] == 401
    assert get(web, "/metrics", Authorization="Bearer wrong")[0] == 401
    assert get(web, "/metrics", Authorization="Bearer secret") == (200, b"vigie_x 1\n")


def test_metrics_without_a_token_are_closed_unless_the_site_opens_them() -> None:
    probes = Probes(metrics=lambda: b"vigie_x 1\n", faults=dict, unready=dict)
    for opened, status in ((False, 401), (True, 200)):
        web = Web(WebSettings(host="127.0.0.1", port=0, metrics_open=opened), probes)
        web.start()
        assert get(web, "/metrics")[0] == status
        web.stop()


def test_unknown_page_says_nothing_about_itself(web: Web) -> None:
    status, body = get(web, "/<script>alert(1)</script>")
    assert status == 404
    assert b"script" not in body


def test_taken_port_is_named_with_the_remedy(web: Web) -> None:
    second = Web(
        WebSettings(host="127.0.0.1", port=web.port),
        Probes(metrics=bytes, faults=dict, unready=dict),
    )
    with pytest.raises(ConfigError, match=r"choose another http\.port"):
        second.start()


def test_an_ipv6_address_is_listened_on() -> None:
    web = Web(WebSettings(host="::1", port=0), Probes(metrics=bytes, faults=dict, unready=dict))
    web.start()
    try:
        with urllib.request.urlopen(f"http://[::1]:{web.port}/healthz", timeout=5) as response:
            assert response.status == 200
    finally:
        web.stop()


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("192.0.2.1", 0, "the address is not one of this computer; correct http.host"),
        ("2001:db8::1", 0, r"listen on \[2001:db8::1\]:0 .* is not one of this computer"),
        ("no-such-host.invalid", 0, "no such name"),
    ],
)
def test_a_port_that_cannot_be_opened_is_refused_with_its_true_cause(
    host: str, port: int, told: str
) -> None:
    probes = Probes(metrics=bytes, faults=dict, unready=dict)
    with pytest.raises(ConfigError, match=told):
        Web(WebSettings(host=host, port=port), probes).start()


def exchange(web: Web, sent: bytes) -> bytes:
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as raw:
        raw.sendall(sent)
        return b"".join(iter(lambda: raw.recv(4096), b""))


def test_a_client_that_never_ends_its_request_is_broken_off(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.web.CONNECTION_S", 0.5)
    with socket.create_connection(("127.0.0.1", web.port), timeout=0.2) as raw:
        for _ in range(40):
            # A byte now and then keeps the time limit of a single read from ever passing.
            try:
                raw.sendall(b"G")
                assert raw.recv(10) == b""
            except TimeoutError:
                continue
            except OSError:
                pass
            break
        else:
            pytest.fail("the connection stays open")
    assert get(web, "/healthz")[0] == 200


def test_slow_clients_take_no_more_than_their_share_of_connections(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.web.CONNECTIONS", 2)
    slow = [socket.create_connection(("127.0.0.1", web.port), timeout=5) for _ in range(2)]
    for one in slow:
        one.sendall(b"GET /healthz HTTP/1.0\r\n")
    try:
        assert exchange(web, b"") == b""
    finally:
        for one in slow:
            one.sendall(b"\r\n")
            assert b"200" in one.recv(100)
            one.close()


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: +2",
        b"Content-Length: 1_0",
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(web: Web, headers: bytes) -> None:
    answer = exchange(web, b"POST /api/v1/feedback HTTP/1.1\r\n" + headers + b"\r\n\r\n{}")
    assert b" 411 " in answer.splitlines()[0]


def test_an_address_that_is_none_is_refused(web: Web) -> None:
    sent = b"POST http://[/api/ HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}"
    assert b" 404 " in exchange(web, sent).splitlines()[0]


def test_a_fault_in_the_program_quotes_nothing_of_the_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(request: Request) -> Response:
        raise KeyError(request.path)

    web = Web(
        WebSettings(host="127.0.0.1", port=0),
        Probes(metrics=bytes, faults=dict, unready=dict),
        broken,
    )
    web.start()
    assert exchange(web, b"GET /api/Doe^Jane HTTP/1.0\r\n\r\n") == b""
    web.stop()
    told = capsys.readouterr()
    assert "KeyError" in told.out + told.err
    assert "Doe" not in told.out + told.err


def test_a_probe_may_ask_for_the_head_alone(web: Web) -> None:
    head, _, body = exchange(web, b"HEAD /healthz HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0]
    assert body == b""
