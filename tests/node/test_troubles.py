"""Each trouble of the node is seen, with what to do about it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from node.ledger.alerts import AlertKind, AlertRow, AlertState
from node.ledger.states import StudyState
from node.troubles import troubles_of


def core(**changes: Any) -> Any:
    """A core as `troubles_of` asks it; all is well unless changed."""
    well: dict[str, Any] = {"refusal": "", "retired": 0, "held": {}, "silent": {}, "studies": 0}
    well["alerts"] = ()
    well |= changes
    return SimpleNamespace(
        store=SimpleNamespace(
            refusal=lambda: well["refusal"], pool=SimpleNamespace(retired=lambda: well["retired"])
        ),
        ledger=SimpleNamespace(
            studies=SimpleNamespace(
                in_state=lambda state: ["?"] * well["studies"] if state is StudyState.HELD else []
            ),
            alerts=SimpleNamespace(untold=lambda **_times: well["alerts"]),
            peers=SimpleNamespace(trouble=lambda name: f"nobody answers as {name}"),
            troubles=SimpleNamespace(
                held_back=lambda name: well["held"].get(name, (0, 0)),
                silent_for=lambda name, at_least_s: well["silent"].get(name, 0.0),
            ),
        ),
        appliance=SimpleNamespace(
            alerts=SimpleNamespace(destination_dead_after_hours=4.0),
            destinations={"pacs": None, "archive": None},
        ),
    )


def test_all_is_well() -> None:
    assert troubles_of(core(), dict) == {}


def test_each_trouble_says_what_to_do() -> None:
    found = troubles_of(
        core(
            refusal="the disk is 95 % full; free space",
            retired=2,
            held={"pacs": (3, 1)},
            silent={"archive": 5 * 3600.0},
            studies=2,
        ),
        lambda: {"pe": "golden case not reproduced"},
    )
    assert found["disk_full", "storage"].endswith("free space")
    assert "smartctl" in found["segment_retired", "storage"]
    assert "3 result objects of 1 studies" in found["result_held_back", "pacs"]
    assert "2 studies came again" in found["result_held_back", "identity"]
    assert "rerun STUDY" in found["result_held_back", "identity"]
    assert "5 hours" in found["destination_dead", "archive"]
    assert "(nobody answers as archive)" in found["destination_dead", "archive"]
    assert found["model_out_of_service", "pe"] == "golden case not reproduced"


def test_an_acute_finding_that_nobody_took_is_a_trouble_without_the_words_of_the_other_side() -> (
    None
):
    def alert(state: AlertState, study_uid: str, **more: str) -> AlertRow:
        row = AlertRow(kind=AlertKind.FINDING, channel="pager", rule="acute", facts={})
        return replace(row, study_uid=study_uid, state=state, **more)  # type: ignore[arg-type]

    found = troubles_of(
        core(
            alerts=(
                alert(AlertState.WAITING, "1.1"),
                alert(AlertState.WAITING, "1.2"),
                alert(AlertState.REFUSED, "1.3", cause="AE: no patient LOVELACE here"),
            )
        ),
        dict,
    )
    assert found["alert_not_taken", "pager"].startswith("2 acute findings or corrections wait")
    refused = found["alert_not_taken", "pager, study 1.3"]
    assert refused.startswith("the finding was refused: call somebody")
    assert "LOVELACE" not in refused
