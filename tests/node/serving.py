"""A whole node as its user starts it, with a PACS of the test's choice beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.ledger import Ledger

CHECKOUT = Path(__file__).resolve().parents[2]
CONFIGURATION = """\
version: 1
receiver:
  host: 127.0.0.1
  port: {dicom}
  peers: {{here: {{addresses: [127.0.0.1], any_ae_title: true}}}}
storage: {{path: {storage}, refuse_above_percent: 99, keep_free_gb: 0, spare_segments: 0}}
completion: {{quiet_time_s: 1, interrupted_quiet_time_s: 2}}
models: {{body_composition: {{unsigned: true, report_not_eligible: {report}}}}}
routes: {{all: {{models: [body_composition], destinations: [pacs]}}}}
destinations:
  pacs:
    {{type: dicom, ae_title: {pacs_title}, host: 127.0.0.1, port: {pacs},
      retry_first_s: 0.5, retry_cap_s: 2}}
http: {{host: 127.0.0.1, port: {http}{api}}}
workers: {{providers: [cpu]}}
logging: {{file: {log}}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Serving:
    """A running `python -m node serve`."""

    process: subprocess.Popen[bytes]
    config: Path
    storage: Path
    log: Path
    dicom_port: int
    http_port: int

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.http_port}{path}", timeout=5
            ) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ledger(self) -> Ledger:
        return Ledger(self.storage, read_only=True)

    def states(self) -> dict[str, str]:
        ledger = self.ledger()
        try:
            return {s.study_uid: s.state.value for s in ledger.studies.recent(1000)}
        finally:
            ledger.close()

    def send(self, folder: Path) -> None:
        """With dcmtk, a client that nobody here wrote."""
        command = ["dcmsend", "-aec", "VIGIE", "+sd", "+r", "127.0.0.1", str(self.dicom_port)]
        subprocess.run([*command, str(folder)], check=True, capture_output=True)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "node", *arguments, "--config", str(self.config)],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )


def wait_for(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


@contextmanager
def serving(
    folder: Path,
    *,
    pacs_port: int,
    pacs_title: str = "PACS",
    report: bool = False,
    dicom_port: int = 0,
    api: str = "",
) -> Iterator[Serving]:
    """Start a node and wait until it is ready; `api`: further settings of `http:`."""
    dicom, http = dicom_port or free_port(), free_port()
    config = folder / "appliance.yaml"
    config.write_text(
        CONFIGURATION.format(
            dicom=dicom,
            http=http,
            storage=folder / "store",
            report=str(report).lower(),
            pacs=pacs_port,
            pacs_title=pacs_title,
            log=folder / "node.log",
            api=f", {api}" if api else "",
        ),
        encoding="utf-8",
    )
    with (folder / "stderr.log").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "node", "serve", "--config", str(config)],
            cwd=CHECKOUT,
            start_new_session=True,
            stderr=errors,
        )
    running = Serving(process, config, folder / "store", folder / "node.log", dicom, http)
    try:
        ready = wait_for(
            lambda: running.get("/readyz")[0] == 200 or process.poll() is not None, 120
        )
        assert ready, running.get("/readyz")
        assert process.poll() is None, (folder / "stderr.log").read_text()
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


@dataclass(slots=True)
class Orthanc:
    """Debian's Orthanc as the PACS, in a folder of its own."""

    dicom_port: int
    http_port: int

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.http_port}{path}", timeout=10
        ) as response:
            return json.loads(response.read())

    def file(self, instance: str) -> bytes:
        url = f"http://127.0.0.1:{self.http_port}/instances/{instance}/file"
        with urllib.request.urlopen(url, timeout=30) as response:
            content: bytes = response.read()
            return content


@contextmanager
def orthanc(folder: Path, *, node_port: int = 0) -> Iterator[Orthanc]:
    """Start it; with the port of the node's receiver it knows whom to commit to."""
    program = shutil.which("Orthanc")
    assert program is not None
    running = Orthanc(free_port(), free_port())
    configuration = {
        "Name": "PACS",
        "DicomAet": "ORTHANC",
        "DicomPort": running.dicom_port,
        "HttpPort": running.http_port,
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [],
    }
    if node_port:
        configuration["DicomModalities"] = {"vigie": ["VIGIE", "127.0.0.1", node_port]}
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        assert wait_for(lambda: _answers(running), 60)
        yield running
    finally:
        process.terminate()
        process.wait(30)


def _answers(running: Orthanc) -> bool:
    try:
        return bool(running.get("/system"))
    except OSError:
        return False
