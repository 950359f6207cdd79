"""`status`, `explain`, `resend`, `rerun`, `export`: what is where, and why."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from config.load import load_appliance
from config.schema import Appliance
from node.cli.alerted import told_alerts
from node.cli.answered import feedback_line, told_answers
from node.cli.command import Command, Exit, add_json, complain, print_rows
from node.cli.compared import told_companions, told_no_priors
from node.cli.deliveries import (
    destination_rows,
    explained,
    numbers,
    summary,
    tally,
    trouble_with,
)
from node.cli.facts import plain_facts, told_facts
from node.cli.known import completeness, told_knowledge
from node.cli.service import models_of, told_models, why_waiting
from node.domain.feedback import READER_DOCUMENTS
from node.domain.study import Instance, StackID
from node.ledger import Ledger
from node.ledger.feedback import Wanted
from node.ledger.states import JobState
from node.ledger.studies import StudyRow
from node.packages import installed_models

#: Longest cause in the table of `status`.
CAUSE_CHARACTERS = 60


def _ledger(options: argparse.Namespace, *, read_only: bool = True) -> Ledger:
    appliance = load_appliance(options.config, installed_models())
    return Ledger(appliance.storage.path, read_only=read_only)


def when(seconds: float | None) -> str:
    """A time in the local zone of this computer, to the second."""
    if seconds is None:
        return "-"
    moment = datetime.fromtimestamp(seconds, tz=UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def status(options: argparse.Namespace) -> int:
    """Studies by state, then the last ones that moved; or the destinations."""
    appliance = load_appliance(options.config, installed_models())
    ledger = Ledger(appliance.storage.path, read_only=True)
    destinations = destination_rows(appliance, ledger, when)
    if options.destinations:
        print_rows(destinations, as_json=options.json, empty="no destination is configured")
        ledger.close()
        return Exit.GOOD
    rows = []
    for study in ledger.studies.recent(options.last):
        jobs = ledger.jobs.of_study(study.study_uid)
        deliveries = ledger.outbox.of_study(study.study_uid)
        rows.append(
            {
                "study": study.study_uid,
                "state": study.state.value,
                "why": study.cause if options.json else _short(study.cause),
                "last image": when(study.last_at),
                "images": len(images_of(ledger, study.study_uid)),
                "jobs": ", ".join(f"{job.model} {job.outcome}" for job in jobs) or "none",
                "results": tally(deliveries),
            }
        )
    if not options.json:
        totals = ledger.studies.totals_by_state()
        print("studies: " + ", ".join(f"{n} {state.value}" for state, n in totals.items()))
        for row in destinations:
            trouble = f" ({row['trouble']})" if row["trouble"] else ""
            print(f"to {row['destination']}: {row['objects']}{trouble}")
        print(feedback_line(ledger))
        for line in told_models(models_of(appliance), when):
            print(line)
    print_rows(rows, as_json=options.json, empty="no study was received yet")
    ledger.close()
    return Exit.GOOD


def images_of(ledger: Ledger, study_uid: str) -> tuple[Instance, ...]:
    """What came of a study without structured reports, which are told by themselves."""
    found = ledger.instances.of_study(study_uid)
    return tuple(item for item in found if item.sop_class_uid not in READER_DOCUMENTS)


def _short(cause: str) -> str:
    """A cause in a table; `explain` has all of it."""
    return cause if len(cause) <= CAUSE_CHARACTERS else f"{cause[: CAUSE_CHARACTERS - 3]}..."


def explain(options: argparse.Namespace) -> int:
    """The whole life of one study."""
    appliance = load_appliance(options.config, installed_models())
    ledger = Ledger(appliance.storage.path, read_only=True)
    study = ledger.studies.get(options.study)
    if study is None:
        complain(
            f"no study {options.study} in the ledger: it never arrived here, or the UID is not a "
            "Study Instance UID (`status` lists the studies)"
        )
        return Exit.FAILURES
    if options.facts and not options.json:
        for line in told_facts(ledger.facts.get(options.study)):
            print(line)
    elif options.json:
        _explain_json(ledger, study)
    else:
        _explain_text(ledger, appliance, study)
    ledger.close()
    return Exit.GOOD


def _explain_json(ledger: Ledger, study: StudyRow) -> None:
    uid = study.study_uid
    found = ledger.facts.get(uid)
    rows = [
        {
            "study": asdict(study),
            "verdicts": [asdict(v) for v in ledger.studies.verdicts(uid, study.generation)],
            "jobs": [asdict(job) for job in ledger.jobs.of_study(uid)],
            "deliveries": [asdict(item) for item in ledger.outbox.of_study(uid)],
            "complete": completeness(study),
            "facts": [
                {"series": one.stack_id, "facts": plain_facts(one)}
                for one in (found.series if found is not None else ())
            ],
            "known": list(told_knowledge(ledger, uid)),
            "companions": [
                {"job": job.key, "role": one.role, "study": one.study_uid}
                for job in ledger.jobs.of_study(uid)
                for _, one in ledger.jobs.companions(job.key)
            ],
            "no_priors": list(told_no_priors(ledger, uid)),
            "alerts": [asdict(alert) for alert in ledger.alerts.of_study(uid)],
            "findings": [asdict(item) for item in ledger.findings.of_study(uid)],
            "feedback": [asdict(item) for item in ledger.feedback.answers(Wanted(study_uid=uid))],
            "documents": [asdict(item) for item in ledger.documents.of_study(uid)],
            "events": [asdict(event) for event in ledger.studies.events(uid)],
        }
    ]
    print_rows(rows, as_json=True)


def _explain_text(ledger: Ledger, appliance: Appliance, study: StudyRow) -> None:
    uid = study.study_uid
    instances = images_of(ledger, uid)
    senders = sorted({item.calling_ae_title for item in instances})
    print(f"study {uid}: {study.state.value}" + (f" ({study.cause})" if study.cause else ""))
    print(f"  {len(instances)} images, from {', '.join(senders) or '-'}")
    print(f"  first {when(study.first_at)}, last {when(study.last_at)}")
    completed = (
        f"{when(study.completed_at)} ({completeness(study)})" if study.completed_at else "no"
    )
    print(f"  complete: {completed}")
    for told in told_knowledge(ledger, uid):
        print(f"  {told}")
    _explain_verdicts(ledger, study)
    _explain_deliveries(ledger, appliance, uid)
    for told in told_answers(ledger, uid, when):
        print(f"  {told}")
    for told in told_alerts(ledger, uid):
        print(f"  alert: {told}")
    print("  life:")
    lines = (
        f"{when(event.at)}  {event.what}" + (f": {event.detail}" if event.detail else "")
        for event in ledger.studies.events(uid)
    )
    for line, times in Counter(lines).items():
        print(f"    {line}" + (f" ({times} times)" if times > 1 else ""))


def _explain_verdicts(ledger: Ledger, study: StudyRow) -> None:
    """Each series with the verdict of each model, then the jobs that followed."""
    uid = study.study_uid
    facts = ledger.facts.get(uid)
    labels = {one.stack_id: one.label for one in facts.series} if facts is not None else {}
    series_uid = ""
    for verdict in sorted(
        ledger.studies.verdicts(uid, study.generation), key=lambda v: (v.series_uid, v.model)
    ):
        if verdict.series_uid != series_uid:
            series_uid = verdict.series_uid
            label = labels.get(StackID(series_uid), "series")
            print(f"  {label} ({series_uid}): {verdict.facts}")
        reason = f": {verdict.reason}" if verdict.reason else ""
        print(f"    {verdict.model}: {verdict.outcome}{reason}")
    for job in ledger.jobs.of_study(uid):
        told = job.told
        if job.state is JobState.WAITING:
            told = why_waiting(ledger.service.get(job.model)) or told
        shadow = "" if job.destinations else " (shadow: kept, sent to nobody)"
        print(f"  job {job.model}: {job.outcome}{shadow}" + (f": {told}" if told else ""))
        for other in told_companions(ledger, job.key, uid):
            print(f"    {other}")
    for line in told_no_priors(ledger, uid):
        print(f"  {line}")


def _explain_deliveries(ledger: Ledger, appliance: Appliance, uid: str) -> None:
    """What became of each object at each destination."""
    deliveries = ledger.outbox.of_study(uid)
    places = numbers(deliveries)
    names = {item.destination for item in deliveries}
    troubles = {name: trouble_with(ledger, appliance, name, when) for name in names}
    for name in sorted(names):
        there = [item for item in deliveries if item.destination == name]
        print(f"  {summary(name, there, troubles[name])}")
    for item in deliveries:
        number = places.get((item.object.sop_instance_uid, item.destination), 0)
        trouble = troubles[item.destination]
        for line in explained(item, when, number=number, trouble=trouble):
            print(f"  {line}")


def resend(options: argparse.Namespace) -> int:
    """Queue the results of one study for every destination again."""
    ledger = _ledger(options, read_only=False)
    if any(job.state is JobState.WITHDRAWN for job in ledger.jobs.current(options.study)):
        ledger.close()
        complain("a result of this study was withdrawn; `rerun` makes a new one")
        return Exit.FAILURES
    queued = ledger.outbox.resend(options.study)
    if queued:
        # What was refused once is offered again as it is.
        for name in {item.destination for item in ledger.outbox.of_study(options.study)}:
            ledger.peers.forget(name)
        ledger.studies.tell(options.study, "resend", "by hand")
        ledger.studies.redeliver(options.study)
    ledger.close()
    print(f"{queued} objects queued" if queued else "this study has no results to send")
    return Exit.GOOD if queued else Exit.FAILURES


def rerun(options: argparse.Namespace) -> int:
    """Judge and analyse one study again; its new results replace the old ones."""
    ledger = _ledger(options, read_only=False)
    study = ledger.studies.get(options.study)
    again = ledger.studies.rerun(options.study)
    ledger.close()
    if again:
        print("the study is judged and analysed again; `explain` shows how it goes")
        return Exit.GOOD
    if study is None:
        complain(f"no study {options.study} in the ledger (`status` lists the studies)")
    else:
        complain(
            f"the study is {study.state.value}: only one that ended, failed or is held back is run "
            "again"
        )
    return Exit.FAILURES


def export(options: argparse.Namespace) -> int:
    """The images of one study as Part 10 files, as they were sent."""
    ledger = _ledger(options)
    instances = ledger.instances.of_study(options.study)
    ledger.close()
    options.out.mkdir(parents=True, exist_ok=True)
    problems = 0
    for number, instance in enumerate(instances, 1):
        try:
            instance.extent.export(options.out / f"{number:06d}.dcm")
        except OSError as error:
            problems += 1
            complain(f"{instance.sop_instance_uid}: {error.strerror or error}")
    print(f"{len(instances) - problems} of {len(instances)} images written to {options.out}")
    return Exit.GOOD if instances and not problems else Exit.FAILURES


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    parser.add_argument(
        "--destinations", action="store_true", help="the destinations instead of the studies"
    )
    parser.add_argument("--last", type=int, default=20, help="how many studies (default 20)")


def _study(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    parser.add_argument("study", metavar="STUDY_UID", help="Study Instance UID")


def _explained(parser: argparse.ArgumentParser) -> None:
    _study(parser)
    parser.add_argument(
        "--facts", action="store_true", help="the facts of each series instead, as rules ask them"
    )


def _export(parser: argparse.ArgumentParser) -> None:
    _study(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder, made when it is missing")


COMMANDS = (
    Command(name="status", summary="what is where", arguments=_no_arguments, run=status),
    Command(
        name="explain",
        summary="the life of one study, with every verdict and time",
        arguments=_explained,
        run=explain,
    ),
    Command(
        name="resend",
        summary="send the results of one study again, also what was refused",
        arguments=_study,
        run=resend,
    ),
    Command(
        name="rerun",
        summary="judge and analyse one study again; new results replace the old",
        arguments=_study,
        run=rerun,
    ),
    Command(
        name="export",
        summary="the images of one study as plain DICOM files",
        arguments=_export,
        run=export,
    ),
)
