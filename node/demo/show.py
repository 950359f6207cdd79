"""The demonstration: node and PACS up, studies sent, results laid out, one table at the end."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.load import load_appliance
from node.app import Node
from node.demo.pacs import SmallPacs
from node.demo.sender import Receiver, Sent, send_folder
from node.demo.simulated import Simulated, simulate
from node.domain.errors import NodeError
from node.layout import lay_out
from node.ledger.states import ACCEPTED, StudyState
from node.logs import configure_logging
from node.packages import installed_models

QUIET_TIME_S = 2.0
WARM_UP_LIMIT_S = 120.0
STUDY_LIMIT_S = 300.0
FINAL = (StudyState.ENDED, StudyState.FAILED)

CONFIGURATION = """\
version: 1
node: {{name: vigie-demo, ae_title: VIGIE}}
receiver:
  host: 127.0.0.1
  port: {dicom_port}
  peers:
    this-computer: {{addresses: [127.0.0.1], any_ae_title: true}}
storage: {{path: {storage}, refuse_above_percent: 99, keep_free_gb: 0, spare_segments: 0}}
completion: {{quiet_time_s: {quiet}, interrupted_quiet_time_s: {quiet}}}
models:
{models}
routes:
  everything:
    models: [{names}]
    destinations: [small-pacs]
destinations:
  small-pacs: {{type: dicom, ae_title: PACS, host: 127.0.0.1, port: {pacs_port}}}
http: {{host: 127.0.0.1, port: {http_port}}}
logging: {{level: info, format: console, file: {log}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What to show. `stay` keeps node and PACS running until Ctrl-C."""

    out: Path
    studies: Path | None = None
    simulated: int = 2
    stay: bool = False


@dataclass(slots=True)
class Row:
    """One study in the table; `found`: each model with its outcome and what it says."""

    study: str
    study_uid: str
    truth: str = "-"
    found: list[tuple[str, str]] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    seconds: float = 0.0
    failed: bool = False


def show(plan: Demonstration) -> int:
    """Run the demonstration; 0 when every study ended with a stated outcome."""
    out = plan.out.resolve()
    if plan.studies is not None and not plan.studies.is_dir():
        print(f"--studies {plan.studies}: no such folder", file=sys.stderr)
        return 2
    _clear(out)
    pacs = SmallPacs(out / "pacs")
    pacs.start()
    with tempfile.TemporaryDirectory(prefix="vigie-demo-") as scratch:
        try:
            with _node(out, Path(scratch), pacs) as node:
                rows = _go_round(plan, node, Path(scratch))
                _report(rows, out, pacs)
                if plan.stay:
                    _stay(node, pacs)
        finally:
            pacs.stop()
    return int(any(row.failed for row in rows))


def _clear(out: Path) -> None:
    """Take away the last demonstration, and only that."""
    for name in ("pacs", "results", "node.log", "appliance.yaml"):
        path = out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)


@contextmanager
def _node(out: Path, scratch: Path, pacs: SmallPacs) -> Iterator[Node]:
    dicom_port, http_port = _free_port(), _free_port()
    names = installed_models()
    (out / "appliance.yaml").write_text(
        CONFIGURATION.format(
            dicom_port=dicom_port,
            http_port=http_port,
            pacs_port=pacs.port,
            storage=scratch / "store",
            quiet=QUIET_TIME_S,
            models="\n".join(
                f"  {name}: {{unsigned: true, report_not_eligible: true}}" for name in names
            ),
            names=", ".join(names),
            log=out / "node.log",
        ),
        encoding="utf-8",
    )
    appliance = load_appliance(out / "appliance.yaml", names)
    configure_logging(appliance.logging)
    node = Node(appliance)
    print(f"node VIGIE on port {dicom_port}, small PACS on port {pacs.port}; loading models ...")
    node.start()
    try:
        _wait_ready(node)
        yield node
    finally:
        node.stop(grace_s=1.0)


def _wait_ready(node: Node) -> None:
    deadline = time.monotonic() + WARM_UP_LIMIT_S
    while (reason := node.unready()) or node.core.roster.out():
        out = node.core.roster.out()
        if time.monotonic() > deadline or out:
            raise NodeError(f"the node did not become ready: {dict(out) or dict(reason)}")
        time.sleep(0.1)


def _go_round(plan: Demonstration, node: Node, scratch: Path) -> list[Row]:
    rows = []
    for number in range(plan.simulated):
        _progress(f"simulating study {number + 1} of {plan.simulated} ...")
        simulated = simulate(number, scratch / f"simulated-{number}")
        sent = _send(node, simulated.folder, simulated.name)
        rows += [_outcome(node, row, simulated) for row in sent]
    if plan.studies is not None:
        sent = _send(node, plan.studies, "yours")
        rows += [_outcome(node, row, None) for row in sent]
    return rows


def _send(node: Node, folder: Path, name: str) -> list[Row]:
    _progress(f"sending {name} ...")
    sent: Sent = send_folder(
        folder, Receiver(host="127.0.0.1", port=node.receiver.port, ae_title="VIGIE")
    )
    for problem in sent.problems:
        _progress(f"{name}: {problem}")
    several = len(sent.studies) > 1
    return [
        Row(study=f"{name} {n}" if several else name, study_uid=uid)
        for n, uid in enumerate(sorted(sent.studies), start=1)
    ]


def _outcome(node: Node, row: Row, simulated: Simulated | None) -> Row:
    """Wait until the study has ended, then say how."""
    deadline = time.monotonic() + STUDY_LIMIT_S
    while True:
        study = node.ledger.studies.get(row.study_uid)
        if study is not None and study.state in FINAL:
            break
        if time.monotonic() > deadline:
            row.found, row.failed = [("study", "not finished in time")], True
            return row
        time.sleep(0.2)
    jobs = node.ledger.jobs.of_study(row.study_uid)
    if jobs:
        row.found = [(job.model, f"{job.outcome}: {job.told}") for job in jobs]
    else:
        verdicts = node.ledger.studies.verdicts(row.study_uid, study.generation)
        reasons = dict.fromkeys(verdict.reason for verdict in verdicts)
        row.found = [("study", study.cause or "not eligible: " + "; ".join(reasons))]
    row.failed = study.state is StudyState.FAILED
    deliveries = node.ledger.outbox.of_study(row.study_uid)
    row.objects = [item.object.kind for item in deliveries if item.state in ACCEPTED]
    ended = max([item.sent_at or 0.0 for item in deliveries] or [study.last_at])
    row.seconds = max(0.0, ended - study.last_at)
    row.truth = simulated.truth if simulated is not None else "-"
    _progress(f"{row.study}: {len(row.objects)} objects after {row.seconds:.0f} s")
    return row


def _report(rows: Sequence[Row], out: Path, pacs: SmallPacs) -> None:
    lay_out(pacs.files(), out / "results")
    print()
    for row in rows:
        print(f"{row.study}  ({row.study_uid})")
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(row.objects).most_common())
        lines = [
            *row.found,
            ("truth", row.truth),
            ("returned", kinds or "nothing"),
            ("seconds", f"{row.seconds:.1f} from the last image to the last result in the PACS"),
        ]
        width = max(len(name) for name, _ in lines)
        for name, text in lines:
            print(f"  {name:{width}}  {text}")
    print()
    print(f"reports as text, pages as PNG, objects as DICOM: {out / 'results'}")


def _stay(node: Node, pacs: SmallPacs) -> None:
    print(
        f"staying: send to VIGIE@127.0.0.1:{node.receiver.port}, results arrive in {pacs.folder}; "
        "Ctrl-C ends"
    )
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print("ending")


def _progress(text: str) -> None:
    if sys.stdout.isatty():
        print(text, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
