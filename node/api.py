"""The HTTP API of reader feedback, version 1; described in config/FEEDBACK.md.

Nothing here names a patient: studies, results and findings are known by their UIDs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from node.access import Tokens
from node.answering import Posted, parse_answer
from node.domain.errors import LedgerError
from node.domain.feedback import MeasuredValue, ReaderAnswer, ResultFinding, Source
from node.ledger import Ledger
from node.ledger.feedback import Wanted
from node.ledger.studies import StudyRow, VerdictRow
from node.pipeline.acceptance import acceptance
from node.requests import Refusal, Request, Response, encoded

log = structlog.get_logger(__name__)

PREFIX: Final = "/api/"
#: Who is behind an answer by the shared token that names no reader.
UNNAMED: Final = "api"
DAY_S: Final = 86400.0
#: Verdicts that leave a model without a job, the worst first.
_ENDED: Final = ("failed", "not eligible")
UNFINISHED: Final = "unfinished"
_FINDINGS: Final = re.compile(r"/api/v1/studies/([0-9.]{1,64})/findings")
_FEEDBACK: Final = "/api/v1/feedback"


class Api:
    """Answers requests below /api/; thread-safe as the ledger is."""

    def __init__(self, ledger: Ledger, tokens: Tokens) -> None:
        self._ledger = ledger
        self._tokens = tokens

    def answer(self, request: Request) -> Response:
        """Carry out one request; never raises."""
        try:
            user = self._tokens.user(request.authorization)
            return self._route(request, user)
        except Refusal as refusal:
            return refusal.response()
        except LedgerError as error:
            log.error("api.failed", cause=str(error))
            return Refusal(
                503, "the ledger cannot be used now", "try again; /healthz says what is wrong"
            ).response()

    def _route(self, request: Request, user: str | None) -> Response:
        found = _FINDINGS.fullmatch(request.path)
        methods: Mapping[str, Callable[[], Response]]
        if found:
            methods = {"GET": partial(self._findings, found[1])}
        elif request.path == _FEEDBACK:
            methods = {
                "GET": partial(self._counts, request.query),
                "POST": partial(self._post, request.body, user),
            }
        else:
            raise Refusal(
                404,
                "there is no such page",
                f"use {_FEEDBACK} or /api/v1/studies/STUDY_UID/findings",
            )
        if request.method not in methods:
            allow = ", ".join(methods)
            raise Refusal(405, "this page has no such method", f"use {allow}", allow=allow)
        return methods[request.method]()

    def _findings(self, study_uid: str) -> Response:
        """How each model ended on a study, and every result with its findings and answers."""
        study = self._known(study_uid)
        findings = self._ledger.findings.of_study(study_uid)
        answers = self._ledger.feedback.answers(Wanted(study_uid=study_uid))
        results: dict[str, list[ResultFinding]] = {}
        for one in findings:
            results.setdefault(one.result, []).append(one)
        told = [
            {
                "result": key,
                "current": members[0].is_current,
                "report": members[0].report_uid,
                "at": _iso(members[0].at),
                "findings": [_finding(one, answers) for one in members],
            }
            for key, members in results.items()
        ]
        body = {
            "study": study_uid,
            "state": study.state.value,
            "analyses": list(self._analyses(study)),
            "results": told,
        }
        return Response(status=200, body=encoded(body))

    def _analyses(self, study: StudyRow) -> Iterator[dict[str, object]]:
        """Each model with its outcome, so that a result that is missing is not taken for none."""
        jobs = {str(job.model): job for job in self._ledger.jobs.current(study.study_uid)}
        verdicts: dict[str, list[VerdictRow]] = {}
        for verdict in self._ledger.studies.verdicts(study.study_uid, study.generation):
            verdicts.setdefault(verdict.model, []).append(verdict)
        numbers = self._ledger.findings.numbers(study.study_uid)
        for model in sorted({*jobs, *verdicts}):
            job = jobs.get(model)
            if job is not None:
                outcome, reason = job.outcome, job.reason
            else:
                found = {one.verdict for one in verdicts[model]}
                is_over = found.issubset(_ENDED)
                outcome = next(one for one in _ENDED if one in found) if is_over else UNFINISHED
                reason = "; ".join(dict.fromkeys(v.reason for v in verdicts[model] if v.reason))
            yield {
                "model": model,
                "outcome": outcome,
                "reason": reason,
                "result": job.key if job is not None else None,
                "findings": numbers.get(job.key) if job is not None else None,
            }

    def _known(self, study_uid: str) -> StudyRow:
        study = self._ledger.studies.get(study_uid)
        if study is None:
            raise Refusal(
                404,
                f"no study {study_uid} in the ledger",
                "send the Study Instance UID of a study that was received here",
            )
        return study

    def _counts(self, query: Mapping[str, str]) -> Response:
        unknown = sorted(set(query) - {"days", "model", "version"})
        if unknown:
            raise Refusal(422, f"unknown parameter {unknown[0]!r:.80}", "use days, model, version")
        wanted = Wanted(
            model=query.get("model", ""),
            model_version=query.get("version", ""),
            since=self._since(query.get("days", "")),
        )
        tallies = self._ledger.feedback.tallies(wanted)
        totals = self._ledger.findings.totals() if wanted.since is None else None
        rows = [
            row.as_row()
            for row in acceptance(tallies, totals)
            if wanted.model in ("", row.model) and wanted.model_version in ("", row.model_version)
        ]
        return Response(status=200, body=encoded({"models": rows}))

    def _since(self, days: str) -> float | None:
        if not days:
            return None
        try:
            number = float(days)
        except ValueError:
            number = math.nan
        if not 0 < number < 100_000:
            raise Refusal(422, "'days' is not a number of days", "send for example days=30")
        return self._ledger.feedback.now() - number * DAY_S

    def _post(self, body: bytes | None, user: str | None) -> Response:
        posted = parse_answer(body)
        if user is not None and posted.reader not in ("", user):
            raise Refusal(
                403,
                "this token belongs to another reader",
                "leave 'reader' out; the token says who answers",
            )
        reader = user or posted.reader or UNNAMED
        if user is None and self._tokens.is_named(reader):
            raise Refusal(
                403,
                "this reader has a token of their own",
                "send the answer with that token, or name the reader otherwise",
            )
        finding = self._wanted(posted)
        now = self._ledger.feedback.now()
        answer = ReaderAnswer(
            study_uid=finding.study_uid,
            result=finding.result,
            report_uid=finding.report_uid,
            tracking_uid=posted.tracking_uid,
            finding=finding.finding.identifier or finding.finding.finding,
            model=finding.finding.model,
            model_version=finding.finding.model_version,
            reader=reader,
            source=Source.API,
            answer=posted.answer,
            at=now,
            received_at=now,
            measurements=posted.measurements,
            comment=posted.comment,
        )
        with self._ledger.transaction():
            is_new = self._ledger.feedback.add(answer)
            if is_new:
                told = f"{answer.finding or answer.tracking_uid} of {answer.model}, by the API"
                self._ledger.studies.tell(answer.study_uid, f"finding {answer.answer.value}", told)
        log.info(
            "feedback.answer",
            study_uid=answer.study_uid,
            tracking_uid=answer.tracking_uid,
            model=answer.model,
            answer=answer.answer.value,
            new=is_new,
        )
        told_answer = {"new": is_new, "result": answer.result, "answer": _told(answer)}
        return Response(status=201 if is_new else 200, body=encoded(told_answer))

    def _wanted(self, posted: Posted) -> ResultFinding:
        """The finding that is answered about: of the named result, else of the newest one."""
        self._known(posted.study_uid)
        found = [
            one
            for one in self._ledger.findings.of_study(posted.study_uid)
            if one.finding.tracking_uid == posted.tracking_uid
        ]
        if not found:
            raise Refusal(
                404,
                "no result of this study has a finding with this tracking UID",
                f"GET /api/v1/studies/{posted.study_uid}/findings lists them",
            )
        if posted.result:
            found = [one for one in found if posted.result in (one.result, one.report_uid)]
            if not found:
                raise Refusal(
                    404,
                    "the finding is not one of this result",
                    "send the key or the report UID of a result that has it, or leave it out",
                )
        return sorted(found, key=lambda one: not one.is_current)[0]


def _finding(one: ResultFinding, answers: Sequence[ReaderAnswer]) -> dict[str, object]:
    finding = one.finding
    about = [answer for answer in answers if answer.tracking_uid == finding.tracking_uid]
    return {
        "tracking_uid": finding.tracking_uid,
        "tracking_identifier": finding.identifier,
        "finding": finding.finding,
        "site": finding.site,
        "model": finding.model,
        "model_version": finding.model_version,
        "measurements": list(_numbers(finding.measurements)),
        "answers": [_told(answer) for answer in about if answer.result == one.result],
        # Lesions keep their tracking UIDs when a newer result takes the place of another.
        "answers_to_other_results": [
            {"result": answer.result, **_told(answer)}
            for answer in about
            if answer.result != one.result
        ],
    }


def _told(answer: ReaderAnswer) -> dict[str, object]:
    return {
        "answer": answer.answer.value,
        "reader": answer.reader,
        "at": _iso(answer.at),
        "source": answer.source.value,
        "current": answer.is_current,
        "model_version": answer.model_version,
        "measurements": list(_numbers(answer.measurements)),
        "comment": answer.comment,
        "document": answer.document_uid,
    }


def _numbers(items: Sequence[MeasuredValue]) -> Iterator[dict[str, object]]:
    for item in items:
        yield {"name": item.name, "value": item.value, "unit": item.unit}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
