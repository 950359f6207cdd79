"""Probes tell the truth, and metrics can be closed."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from node.domain.errors import ConfigError
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
