"""What is wrong with this node now, for those who want to be called about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from node.core import Core
from node.ledger.states import StudyState

HOUR_S = 3600.0


def troubles_of(
    core: Core, models_out: Callable[[], Mapping[str, str]]
) -> Mapping[tuple[str, str], str]:
    """(event, what it is about) -> what happened and what to do.

    Args:
        models_out: models that are out of service, with the cause.
    """
    found: dict[tuple[str, str], str] = {}
    refusal = core.store.refusal()
    if refusal:
        found["disk_full", "storage"] = refusal
    retired = core.store.pool.retired()
    if retired:
        found["segment_retired", "storage"] = (
            f"the disk failed {retired} times while images were written to it (they were refused, "
            "not lost); check it (dmesg, smartctl), then start Vigie again"
        )
    held = len(core.ledger.studies.in_state(StudyState.HELD))
    if held:
        found["result_held_back", "identity"] = (
            f"{held} studies came again with other patient data and are not analysed; "
            "`explain STUDY` says what differs, `rerun STUDY` takes the newest images"
        )
    dead_after_s = core.appliance.alerts.destination_dead_after_hours * HOUR_S
    for name in core.appliance.destinations:
        objects, studies = core.ledger.troubles.held_back(name)
        if objects:
            found["result_held_back", name] = (
                f"{objects} result objects of {studies} studies; `explain STUDY` says why, "
                "`resend STUDY` sends them when that is mended"
            )
        silent_s = core.ledger.troubles.silent_for(name, at_least_s=dead_after_s)
        if silent_s:
            found["destination_dead", name] = (
                f"it has taken no result for {_duration(silent_s)} while results wait for it; "
                "`python -m node doctor` tries it"
            )
    for name, cause in models_out().items():
        found["model_out_of_service", name] = cause
    return found


def _duration(seconds: float) -> str:
    if seconds < 2 * HOUR_S:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / HOUR_S:.0f} hours"
