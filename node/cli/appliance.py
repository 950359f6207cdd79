"""`serve`, `check`, `explain-config`: the appliance and its one file."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import structlog

from config.explain import explain_config, explain_rows
from config.load import Loaded, load, load_appliance
from config.schema import Hl7Channel
from inference.providers import asked_in_vain, none_works, probe
from models.signature import load_trusted
from node.app import Node
from node.cli.command import Command, Exit, add_json, print_rows
from node.conformance import statement
from node.doctor import examine
from node.domain.errors import ConfigError, ConfigFault, ModelError, NodeError
from node.logs import configure_logging
from node.packages import MODELS_FOLDER, installed_models
from node.pipeline.far_thresholds import far_thresholds
from node.pipeline.unreachable import leading_nowhere
from node.settings import trust_of

log = structlog.get_logger(__name__)


def serve(options: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    appliance = load_appliance(options.config, installed_models())
    configure_logging(appliance.logging)
    stop = threading.Event()

    def ask_to_stop(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    node = Node(appliance)
    node.start()
    try:
        node.wait(stop)
    finally:
        node.stop()
    return Exit.GOOD


def check(options: argparse.Namespace) -> int:
    """Name every fault; start nothing."""
    loaded = load(options.config, installed_models())
    for note in loaded.notes:
        print(note)
    enabled = [name for name, model in loaded.appliance.models.items() if model.enabled]
    if unsigned := tuple(_unsigned(loaded)):
        raise ConfigError(faults=unsigned)
    trust = trust_of(loaded.appliance)
    manifests, faults = {}, []
    for name in enabled:
        try:
            manifests[name] = load_trusted(MODELS_FOLDER / name, trust)
        except NodeError as error:
            faults.append(str(error))
    if faults:
        raise ModelError("\n".join(faults))
    peers, destinations = loaded.appliance.receiver.peers, loaded.appliance.destinations
    for warning in (
        *_warnings(loaded),
        *leading_nowhere(loaded, manifests),
        *far_thresholds(loaded, manifests),
    ):
        print(f"warning: {warning}")
    print(
        f"{options.config}: good ({len(peers)} peers, {len(enabled)} models, "
        f"{len(loaded.appliance.routes)} routes, {len(destinations)} destinations)"
    )
    return Exit.GOOD


def _unsigned(loaded: Loaded) -> Iterator[ConfigFault]:
    """Packages that may not run here as they are; a node that serves leaves out these alone."""
    installed = installed_models()
    for name, model in loaded.appliance.models.items():
        if model.enabled and not model.unsigned and not installed[name].signed:
            path = ("models", name)
            yield loaded.document.fault_at(
                loaded.document.key_place(path),
                path,
                "this package carries no signature",
                f"sign it (`models sign {name} --key FILE`), or write 'unsigned: true' below it",
            )


def _warnings(loaded: Loaded) -> Iterator[ConfigFault]:
    """What is well written, and yet would not work on this computer."""
    enabled = any(model.enabled for model in loaded.appliance.models.values())
    why = none_works(loaded.appliance.workers.providers, probe()) if enabled else ""
    if why:
        yield loaded.document.fault(
            ("workers", "providers"),
            f"nothing could be analysed on this computer ({why})",
            "add cpu at the end of the list, or mend what is named",
        )
    if enabled and not why:
        workers = loaded.appliance.workers
        named = workers.gpus is not None
        lacking = asked_in_vain(workers.providers, probe(), gpu_is_named=named)
        for word, lacks in lacking.items():
            yield loaded.document.fault(
                ("workers", "providers"),
                f"{word} is passed over on this computer ({lacks})",
                "do what is named, or take it out of the list",
            )
    yield from _uncalled(loaded)
    alerts = loaded.appliance.alerts
    for name, channel in alerts.channels.items():
        if alerts.patient_data != "none" and isinstance(channel, Hl7Channel) and not channel.tls:
            yield loaded.document.fault(
                ("alerts", "channels", name, "host"),
                "patient data travel unencrypted to this host",
                "write 'tls: true' where the interface engine can, and keep the way inside the "
                "hospital's network",
            )


def _uncalled(loaded: Loaded) -> Iterator[ConfigFault]:
    """Rules for findings that no model in use can ever fulfil."""
    installed = installed_models()
    for name, rule in loaded.appliance.alerts.findings.items():
        models = rule.models or tuple(loaded.appliance.models)
        if not any(
            installed[model].acute for model in models if loaded.appliance.models[model].enabled
        ):
            yield loaded.document.fault_at(
                loaded.document.key_place(("alerts", "findings", name)),
                ("alerts", "findings", name),
                "no model in use states an acute finding, so this rule calls nobody yet",
                "leave it for the day when one does, or remove it",
            )


def explain(options: argparse.Namespace) -> int:
    """The effective configuration with the origin of each value."""
    if options.json:
        print_rows(explain_rows(options.config, installed_models()), as_json=True)
    else:
        print(explain_config(options.config, installed_models()))
    return Exit.GOOD


def doctor(options: argparse.Namespace) -> int:
    """Try what the configuration names; 1 when something is not well."""
    appliance = load_appliance(options.config, installed_models())
    findings = list(examine(appliance))
    rows = [
        {"part": f.part, "state": "FAULT" if f.fault else "good", "told": f.fault or f.told}
        for f in findings
    ]
    print_rows(rows, as_json=options.json)
    return Exit.FAILURES if any(f.fault for f in findings) else Exit.GOOD


def conformance(options: argparse.Namespace) -> int:
    """Print the DICOM Conformance Statement."""
    print(statement(load_appliance(options.config, installed_models())), end="")
    return Exit.GOOD


def _nothing(parser: argparse.ArgumentParser) -> None:
    pass


COMMANDS = (
    Command(
        name="serve",
        summary="the appliance; ready when /readyz answers 200",
        arguments=_nothing,
        run=serve,
    ),
    Command(
        name="check",
        summary="every configuration fault with line, column and remedy; starts nothing",
        arguments=_nothing,
        run=check,
    ),
    Command(
        name="doctor",
        summary="port, disk, clock, destinations by echo, models by their golden case",
        arguments=add_json,
        run=doctor,
    ),
    Command(
        name="conformance",
        summary="the DICOM Conformance Statement from the running tables",
        arguments=_nothing,
        run=conformance,
    ),
    Command(
        name="explain-config",
        summary="the effective configuration, with the origin of each value",
        arguments=add_json,
        run=explain,
    ),
)
