"""`doctor`: what an engineer would try by hand before calling somebody."""

from __future__ import annotations

import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from config.schema import Appliance
from models.signature import load_trusted
from node.alerting import channel_of
from node.domain.addresses import OWN, authority, remedy
from node.domain.errors import NodeError
from node.examination import examine_destination
from node.packages import MODELS_FOLDER
from node.pipeline.proofs import golden_in_words, proof_values
from node.settings import holding_settings, trust_of
from node.trying import try_package

#: Earlier than this the clock of the computer is wrong: Vigie did not exist.
NOT_BEFORE = 1_767_225_600.0  # 2026-01-01


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried; `fault` is "" when it is well."""

    part: str
    fault: str
    told: str = ""


def examine(appliance: Appliance) -> Iterator[Finding]:
    """Try everything that the configuration names, one after the other."""
    yield _serving(appliance)
    yield _disk(appliance)
    yield _clock()
    for name in appliance.destinations:
        yield Finding(f"destination {name}", *examine_destination(appliance, name))
    for name, channel in appliance.alerts.channels.items():
        probed = channel_of(name, channel).probe()
        yield Finding(f"alerts {name}", probed.fault, probed.told)
    for name, model in appliance.models.items():
        if model.enabled:
            yield _model(appliance, name)


def _serving(appliance: Appliance) -> Finding:
    web = appliance.http
    where = authority(OWN.get(web.host, web.host), web.port)
    try:
        with urllib.request.urlopen(f"http://{where}/readyz", timeout=3):
            return Finding("node", "", f"serving, ready (port {appliance.receiver.port})")
    except urllib.error.HTTPError as error:
        with error:
            return Finding("node", f"serving, but not ready: {error.read(500).decode()}")
    except OSError:
        return _port(appliance)


def _port(appliance: Appliance) -> Finding:
    receiver = appliance.receiver
    family = socket.AF_INET6 if ":" in receiver.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((receiver.host, receiver.port))
        except OSError as error:
            why = f"not serving, and port {receiver.port} cannot be opened ({error.strerror})"
            return Finding("node", f"{why}; {remedy(error, 'receiver')}")
    return Finding("node", "", f"not serving; port {receiver.port} is free")


def _disk(appliance: Appliance) -> Finding:
    folder = _existing(appliance.storage.path)
    usage = shutil.disk_usage(folder)
    percent = 100.0 * (1.0 - usage.free / usage.total)
    told = f"{usage.free / 1e9:.0f} GB free, {percent:.0f} % full"
    limit = appliance.storage.refuse_above_percent
    full = percent > limit or usage.free < appliance.storage.keep_free_gb * 1e9
    return Finding("disk", f"{told}: new images are refused; free space" if full else "", told)


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _clock(now: Callable[[], float] = time.time) -> Finding:
    wrong = now() < NOT_BEFORE
    told = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now()))
    return Finding("clock", f"{told} is in the past; set up NTP" if wrong else "", told)


def _model(appliance: Appliance, name: str) -> Finding:
    trust = trust_of(appliance)
    try:
        manifest = load_trusted(MODELS_FOLDER / name, trust)
        proof = try_package(manifest, trust, holding_settings(appliance))
    except NodeError as error:
        return Finding(f"model {name}", str(error))
    golden = golden_in_words(proof_values(proof))
    running = ", ".join(proof.providers)
    told = f"golden case {golden} in {proof.seconds:.1f} s on {running}"
    return Finding(f"model {name}", "", told)
