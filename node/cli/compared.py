"""With which other studies the results of a study were compared, and why with no others."""

from __future__ import annotations

from collections.abc import Iterator

from node.ledger import Ledger
from node.ledger.facts import why_alone


def told_companions(ledger: Ledger, job_key: str, study_uid: str) -> Iterator[str]:
    """Each role that a series of another study plays in a job."""
    roles = {
        (one.role, one.study_uid)
        for _, one in ledger.jobs.companions(job_key)
        if one.study_uid != study_uid
    }
    for role, other in sorted(roles):
        yield f"{role}: a series of study {other}"


def told_no_priors(ledger: Ledger, study_uid: str) -> Iterator[str]:
    """Why the study has no priors at all, or which studies of its patient ID are none."""
    facts = ledger.facts.get(study_uid)
    if facts is None:
        return
    if why := why_alone(facts):
        yield f"no earlier study is compared with this one: {why}"
        return
    for other, reason in ledger.facts.no_priors(facts):
        yield f"same patient ID, but no prior: study {other} ({reason})"
