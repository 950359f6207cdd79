"""What is wrong with this node now, for those who want to be called about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from node.core import Core
from node.ledger.alerts import AlertState
from node.ledger.states import StudyState

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
#: An acute finding that nobody took for so long is for somebody else to know.
ALERT_WAITS_S = 900.0


def troubles_of(
    core: Core,
    models_out: Callable[[], Mapping[str, str]],
    fallen_back: Callable[[], Mapping[str, str]] = dict,
) -> Mapping[tuple[str, str], str]:
    """(event, what it is about) -> what happened and what to do.

    Args:
        models_out: models that are out of service, with the cause.
        fallen_back: models that serve, but not on the provider that they should, with the cause.
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
            cause = core.ledger.peers.trouble(name)
            found["destination_dead", name] = (
                f"it has taken no result for {_duration(silent_s)} while results wait for it"
                + (f" ({cause})" if cause else "")
                + "; `python -m node doctor` tries it"
            )
    for (channel, study_uid), detail in _untold(core):
        about = f"{channel}, study {study_uid}" if study_uid else channel
        found["alert_not_taken", about] = detail
    for name, cause in models_out().items():
        found["model_out_of_service", name] = cause
    for name, told in fallen_back().items():
        found["provider_failed", name] = (
            f"{told}; what comes now is right, but later: mend the GPU's software, then "
            f"`python -m node models golden {name}` has it tried again"
        )
    return found


def _untold(core: Core) -> Iterator[tuple[tuple[str, str], str]]:
    """A dead channel is one trouble; an alert that will not come again is one of its own."""
    late = Counter[str]()
    rows = core.ledger.alerts.untold(waits_s=ALERT_WAITS_S, ended_s=DAY_S)
    for row in rows:
        if row.state is AlertState.WAITING:
            late[row.channel] += 1
            continue
        # Never the words of the other side, which may name a patient.
        yield (
            (row.channel, row.study_uid),
            f"the {row.kind.value} was {row.state.value}: call somebody; `explain STUDY` says why, "
            "`rerun STUDY` tries it again",
        )
    for channel, number in late.items():
        yield (
            (channel, ""),
            f"{number} acute findings or corrections wait for {ALERT_WAITS_S / 60:.0f} minutes or "
            "longer; `python -m node doctor` tries the channel",
        )


def _duration(seconds: float) -> str:
    if seconds < 2 * HOUR_S:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / HOUR_S:.0f} hours"
