"""The models in use as the ledger knows them, for `status`, `models list` and `models golden`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from config.load import load_appliance
from config.schema import Appliance
from node.domain.errors import LedgerError, NodeError
from node.ledger import Ledger
from node.ledger.ledger import FILE_NAME
from node.ledger.service import ModelRow
from node.packages import installed_models
from node.pipeline.proofs import golden_in_words, providers_in_words, speed_in_words

When = Callable[[float | None], str]

#: What stands in the table for a model that this node has never run.
NOT_IN_USE = {"provider": "-", "warm": "not in use", "golden": "-", "speed": "-"}


def known_models(config: Path) -> Mapping[str, ModelRow]:
    """What a node with this configuration has seen of its models; nothing where it never ran."""
    if not config.is_file():
        return {}
    try:
        appliance = load_appliance(config, installed_models())
        return models_of(appliance)
    except NodeError:
        # `check` tells what is wrong with it.
        return {}


def models_of(appliance: Appliance) -> Mapping[str, ModelRow]:
    """Every model in use by name; raises LedgerError."""
    if not (appliance.storage.path / FILE_NAME).is_file():
        return {}
    ledger = Ledger(appliance.storage.path, read_only=True)
    try:
        return {row.model: row for row in ledger.service.every()}
    finally:
        ledger.close()


def in_use(row: ModelRow | None, when: When) -> dict[str, object]:
    """Provider, warm state, golden result and speed of a model."""
    if row is None:
        return dict(NOT_IN_USE)
    proved = f", {when(row.proved_at)}" if row.proved_at else ""
    return {
        "provider": providers_in_words(row.proof),
        "warm": row.state.value,
        "golden": golden_in_words(row.proof) + proved,
        "speed": speed_in_words(row.proof),
    }


def why_waiting(row: ModelRow | None) -> str:
    """Why an analysis waits for its model; "" when it waits for something else."""
    if row is None or row.state.serves:
        return ""
    return f"the model is {row.state.value}" + (f": {row.cause}" if row.cause else "")


def told_models(rows: Mapping[str, ModelRow], when: When) -> Iterator[str]:
    """A line for each model in use, the cause behind it when it is out of service."""
    for name, row in rows.items():
        cause = f": {row.cause}" if row.cause else ""
        yield f"model {name}: {row.state.value} since {when(row.since)}{cause}"
        for label, why in row.barred.items():
            yield f"  not on {label}: {why}"


def ask_again(config: Path, names: list[str]) -> Iterator[str]:
    """Ask the node to try models again that are out of service, or not on their best provider.

    Yields what was asked, in words.
    """
    known = known_models(config)
    out = {
        name: f"does not run on {' and '.join(known[name].barred)}"
        if known[name].state.serves
        else "was out of service"
        for name in names
        if name in known and (known[name].barred or not known[name].state.serves)
    }
    if not out:
        return
    appliance = load_appliance(config, installed_models())
    try:
        ledger = Ledger(appliance.storage.path)
    except LedgerError as error:
        yield f"the node could not be asked to try {', '.join(out)} again ({error})"
        return
    try:
        for name, why in out.items():
            if ledger.service.ask(name):
                yield f"{name} {why}; the node tries it again now, or when it starts"
    finally:
        ledger.close()
