"""Kill the whole process tree at random moments; then count what is there."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread

from node.demo.pacs import SmallPacs
from node.intake import FileContent, read_file
from node.ledger import Ledger
from node.ledger.states import StudyState
from tests.scp.listening import data_set_of
from tests.soak.sender import Sender

CHECKOUT = Path(__file__).resolve().parents[2]
QUIET_TIME_S = 1.0
CONFIGURATION = """\
version: 1
receiver:
  host: 127.0.0.1
  port: {dicom}
  peers: {{here: {{addresses: [127.0.0.1], any_ae_title: true}}}}
storage: {{path: {storage}, refuse_above_percent: 99, keep_free_gb: 0, spare_segments: 0}}
completion: {{quiet_time_s: {quiet}, interrupted_quiet_time_s: 3}}
models: {{body_composition: {{unsigned: true, report_not_eligible: true}}}}
routes: {{all: {{models: [body_composition], destinations: [pacs]}}}}
destinations:
  pacs:
    {{type: dicom, ae_title: PACS, host: 127.0.0.1, port: {pacs},
      retry_first_s: 0.5, retry_cap_s: 2}}
http: {{host: 127.0.0.1, port: {http}}}
workers: {{providers: [cpu]}}
logging: {{file: {log}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One campaign.

    Attributes:
        studies: folders, each one study; sent in turn while the node is killed.
        longest_life_s: the node is killed after a random time up to this.
    """

    folder: Path
    studies: tuple[Path, ...]
    kills: int
    seed: int
    longest_life_s: float = 12.0
    settle_limit_s: float = 600.0
    say: Callable[[str], None] = lambda _text: None


@dataclass(slots=True)
class Verdict:
    """What the campaign found; no faults means the promise was kept.

    Attributes:
        killed_in: what the node was doing when it was killed, by state of its studies.
    """

    kills: int = 0
    acknowledged: int = 0
    studies: int = 0
    repeated_deliveries: int = 0
    killed_in: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Campaign:
    """A node under fire, a PACS beside it, and a sender that does not give up."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)
        plan.folder.mkdir(parents=True, exist_ok=True)
        self._pacs = SmallPacs(plan.folder / "pacs")
        self._dicom, self._http = _free_port(), _free_port()
        self._storage = plan.folder / "store"
        self._config = plan.folder / "appliance.yaml"

    def run(self) -> Verdict:
        """Kill, restart, settle, count."""
        verdict = Verdict()
        self._pacs.start()
        self._config.write_text(
            CONFIGURATION.format(
                dicom=self._dicom,
                http=self._http,
                pacs=self._pacs.port,
                storage=self._storage,
                quiet=QUIET_TIME_S,
                log=self._plan.folder / "node.log",
            ),
            encoding="utf-8",
        )
        files = [p for folder in self._plan.studies for p in sorted(folder.rglob("*.dcm"))]
        sender = Sender("127.0.0.1", self._dicom, files)
        stop = threading.Event()
        pushing = threading.Thread(target=self._push, args=(sender, stop), daemon=True)
        pushing.start()
        try:
            for number in range(self._plan.kills):
                self._live_and_die(verdict, number)
            self._settle(sender)
        finally:
            stop.set()
            self._pacs.stop()
        self._count(sender, verdict)
        return verdict

    def _push(self, sender: Sender, stop: threading.Event) -> None:
        while not stop.is_set():
            if sender.push():
                return
            time.sleep(self._random.uniform(0.1, 1.0))

    def _live_and_die(self, verdict: Verdict, number: int) -> None:
        process = self._start()
        alive_s = self._random.uniform(0.2, self._plan.longest_life_s)
        time.sleep(alive_s)
        states = self._states()
        at_work = set(states.values()) - {StudyState.ENDED.value}
        verdict.killed_in.update(at_work or {"idle" if states else "nothing received"})
        _kill_tree(process)
        verdict.kills += 1
        counted = ", ".join(f"{n} {state}" for state, n in Counter(states.values()).items())
        self._plan.say(f"kill {number + 1} after {alive_s:.1f} s: {counted or 'nothing received'}")

    def _settle(self, sender: Sender) -> None:
        """Let the node live until everything was sent and every study has ended."""
        process = self._start()
        deadline = time.monotonic() + self._plan.settle_limit_s
        try:
            while time.monotonic() < deadline:
                states = self._states()
                final = {StudyState.ENDED.value, StudyState.FAILED.value}
                if not sender.pending and states and set(states.values()) <= final:
                    return
                time.sleep(0.5)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                _kill_tree(process)

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._plan.folder / "stderr.log").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "node", "serve", "--config", str(self._config)],
                cwd=CHECKOUT,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def _states(self) -> dict[str, str]:
        if not (self._storage / "ledger.sqlite").exists():
            return {}
        ledger = Ledger(self._storage, read_only=True)
        try:
            return {s.study_uid: s.state.value for s in ledger.studies.recent(10_000)}
        finally:
            ledger.close()

    def _count(self, sender: Sender, verdict: Verdict) -> None:
        verdict.acknowledged = len(sender.acknowledged)
        if sender.pending:
            verdict.faults.append(f"{len(sender.pending)} instances could never be sent")
        ledger = Ledger(self._storage, read_only=True)
        try:
            self._count_instances(ledger, sender, verdict)
            for study in ledger.studies.recent(10_000):
                verdict.studies += 1
                if study.state is not StudyState.ENDED:
                    verdict.faults.append(f"{study.study_uid}: ended as {study.state.value}")
                verdict.faults += current_result_faults(self._pacs.folder, study.study_uid)
        finally:
            ledger.close()
        verdict.repeated_deliveries = len(self._pacs.received) - len(set(self._pacs.received))

    def _count_instances(self, ledger: Ledger, sender: Sender, verdict: Verdict) -> None:
        """Acknowledged means present, byte-identical, exactly once."""
        for uid, source in sender.acknowledged.items():
            stored = ledger.instances.find(uid)
            if len(stored) != 1:
                verdict.faults.append(f"{uid}: acknowledged, stored {len(stored)} times")
                continue
            sent = read_file(source)
            if not stored[0].extent.is_present:
                verdict.faults.append(f"{uid}: the stored instance cannot be read")
            elif not isinstance(sent, FileContent) or sent.data_set != data_set_of(stored[0]):
                verdict.faults.append(f"{uid}: stored with other bytes than were sent")


def current_result_faults(pacs: Path, study_uid: str) -> list[str]:
    """Exactly one report of the study in the PACS is not replaced by another one (A360)."""
    reports, replaced = set(), set()
    kinds: Counter[str] = Counter()
    for path in (pacs / study_uid).glob("*.dcm"):
        header = dcmread(path, stop_before_pixels=True)
        kinds[str(header.Modality)] += 1
        if header.Modality != "SR":
            continue
        reports.add(str(header.SOPInstanceUID))
        for study in header.get("PredecessorDocumentsSequence", ()):
            for series in study.ReferencedSeriesSequence:
                replaced |= {str(i.ReferencedSOPInstanceUID) for i in series.ReferencedSOPSequence}
    current = reports - replaced
    faults = []
    if len(current) != 1:
        faults.append(f"{study_uid}: {len(current)} current reports in the PACS ({dict(kinds)})")
    return faults


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the whole session: node, workers, everything at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ready(port: int) -> bool:
    """Does /readyz answer 200?"""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
