"""A node with two packages, the second in the shadow of the first, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.demo.sender import Receiver, send_folder
from node.ledger import Ledger
from tests.node.alerting.acute import AcuteNode
from tests.node.serving import CHECKOUT, free_port, wait_for

CONFIGURATION = """\
version: 1
receiver:
  host: 127.0.0.1
  port: {dicom}
  peers: {{here: {{addresses: [127.0.0.1], any_ae_title: true}}}}
storage: {{path: {storage}, refuse_above_percent: 99, keep_free_gb: 0, spare_segments: 0}}
completion: {{quiet_time_s: 0.5, interrupted_quiet_time_s: 2}}
models: {{{first}: {{unsigned: true}}, {second}: {{unsigned: true}}}}
routes:
  first: {{models: [{first}], destinations: [pacs]}}
  second: {{models: [{second}], shadow: true}}
destinations:
  pacs: {{type: dicom, ae_title: PACS, host: 127.0.0.1, port: {pacs}, retry_first_s: 0.5}}
http: {{host: "::1", port: {http}}}
workers: {{providers: [cpu]}}
logging: {{file: {log}}}
"""


@dataclass(frozen=True, kw_only=True)
class Two:
    """Where they lie, and what they are called."""

    folder: Path
    packages: Path
    first: str
    second: str
    pacs_port: int


class TwoNode(AcuteNode):
    """The running node."""

    def send(self, folder: Path) -> str:
        """Send a study as a scanner does, again where a busy computer ran into a time limit."""
        for _ in range(3):
            receiver = Receiver(host="127.0.0.1", port=self.dicom_port, ae_title="VIGIE")
            sent = send_folder(folder, receiver)
            if not sent.problems:
                (study_uid,) = sent.studies
                return study_uid
        raise AssertionError(sent.problems)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the node, with the packages of the test."""
        return command(self.folder, *arguments)

    def metrics(self) -> dict[str, float]:
        """Pairs by what the two say."""
        _, text = self.get("/metrics")
        lines = [line for line in text.splitlines() if line.startswith("vigie_shadow_pairs_total")]
        return {line.split('pair="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}

    def jobs(self, study_uid: str) -> dict[str, str]:
        ledger = Ledger(self.folder / "store", read_only=True)
        try:
            return {str(job.model): job.state.value for job in ledger.jobs.of_study(study_uid)}
        finally:
            ledger.close()


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command with the packages in `folder/models`."""
    code = (
        "import sys, node.packages as p; from pathlib import Path; "
        f"p.MODELS_FOLDER = Path({str(folder / 'models')!r}); "
        "p.installed_models.__defaults__ = (p.MODELS_FOLDER,); "
        "from node.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments, "--config", str(folder / "appliance.yaml")],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


def configure(two: Two) -> tuple[int, int]:
    """Write appliance.yaml; returns the ports for DICOM and HTTP."""
    dicom, http = free_port(), free_port()
    (two.folder / "appliance.yaml").write_text(
        CONFIGURATION.format(
            dicom=dicom,
            http=http,
            storage=two.folder / "store",
            first=two.first,
            second=two.second,
            pacs=two.pacs_port,
            log=two.folder / "node.log",
        )
    )
    return dicom, http


@contextmanager
def two_models(two: Two) -> Iterator[TwoNode]:
    """Start the node and wait until it is ready."""
    dicom, http = configure(two)
    with (two.folder / "stderr.log").open("ab") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.node.alerting.acute_node"),
                *(str(two.folder / "appliance.yaml"), str(two.packages)),
            ],
            cwd=CHECKOUT,
            start_new_session=True,
            stderr=errors,
        )
    running = TwoNode(process, two.folder, dicom, http)
    try:
        ready = wait_for(lambda: running.get("/readyz")[0] == 200 or process.poll() is not None, 90)
        assert ready
        assert process.poll() is None, (two.folder / "stderr.log").read_text()
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()
