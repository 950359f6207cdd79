"""`models list`, `check`, `golden`, `import`: the packages on this computer."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.load import load_appliance
from config.runtimes import FP32, lowered_keys
from inference.builtin.pipeline import NO_SLIDES, looks_at_slides
from models.manifest import ModelManifest
from models.registry import MANIFEST_NAME, load_manifest
from models.signature import Trust, verify
from node.cli import signing
from node.cli.command import Command, Exit, add_config, add_json, complain, print_rows
from node.cli.importing import add_import, run_import
from node.cli.service import NOT_IN_USE, ask_again, in_use, known_models
from node.cli.studies import when
from node.domain.errors import ConfigError, NodeError
from node.packages import MODELS_FOLDER, installed_models
from node.pipeline.holding import HoldingSettings
from node.pipeline.proofs import (
    golden_in_words,
    proof_values,
    providers_in_words,
    speed_in_words,
)
from node.settings import holding_settings, trust_of
from node.trying import check_networks, try_package

_UNSIGNED = "unsigned: would be refused unless appliance.yaml says so"
_AS_STATED = "good: files, graph, names, shapes and golden arrays are as stated"
_UNKNOWN = {
    "version": "-", "class": "-", "digest": "-", "signature": "-", "networks": "-", **NOT_IN_USE
}  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """List, check or prove every package, or those that are named."""
    judged = _judged(options.config)
    folders = {path.parent.name: path.parent for path in MODELS_FOLDER.glob(f"*/{MANIFEST_NAME}")}
    installed = set(folders)
    # A package that lies elsewhere, as `import --out` wrote it.
    folders |= {name: Path(name) for name in options.names if Path(name, MANIFEST_NAME).is_file()}
    unknown = sorted(set(options.names) - folders.keys())
    if unknown:
        complain(
            f"no package {', '.join(unknown)} is installed, nor is it the folder of one; "
            f"installed: {', '.join(sorted(installed))}"
        )
        return Exit.REFUSED
    rows = []
    failures = 0
    known = known_models(options.config)
    good: list[str] = []
    for name in sorted(options.names or folders):
        row: dict[str, object] = {"model": name, **_UNKNOWN}
        try:
            manifest = load_manifest(folders[name])
            row |= _described(manifest)
            row["signature"] = _signature(manifest, judged, by_hand=options.action == "golden")
            row |= in_use(known.get(name), when)
            row |= _state(manifest, options)
            good.append(name)
        except NodeError as error:
            failures += 1
            row["state"] = "faulty"
            complain("\n".join(f"{name}: {line}" for line in str(error).splitlines()))
        rows.append(row)
    print_rows(rows, as_json=options.json, empty="no model package is installed")
    if options.action == "golden":
        for told in ask_again(options.config, [name for name in good if name in installed]):
            complain(told)
    return Exit.FAILURES if failures else Exit.GOOD


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What the configuration says: whose packages may run, and which of them are to run."""

    trust: Trust
    enabled: frozenset[str]


def _judged(config: Path) -> _Judged | None:
    """By the configuration; None where there is none to ask."""
    if not config.is_file():
        return None
    try:
        appliance = load_appliance(config, installed_models())
        enabled = frozenset(name for name, model in appliance.models.items() if model.enabled)
        return _Judged(trust=trust_of(appliance), enabled=enabled)
    except ConfigError as error:
        complain(f"signatures are not judged, because the configuration has faults:\n{error}")
        return None


def _described(manifest: ModelManifest) -> dict[str, object]:
    return {
        "version": manifest.identity.version,
        "class": manifest.identity.ebai_class,
        "digest": manifest.identity.digest[:16],
        "networks": ", ".join(spec.name for spec in manifest.networks),
    }


def _signature(manifest: ModelManifest, judged: _Judged | None, *, by_hand: bool) -> str:
    """Whose it is; a wrong one is a fault, as is none where the node would have to run it.

    Args:
        by_hand: somebody looks at it: whether the node would run it unsigned is not asked.
    """
    name = manifest.identity.name
    if not signing.is_signed(manifest):
        if judged is None or (name not in judged.trust.unsigned and name not in judged.enabled):
            return _UNSIGNED
        if not by_hand:
            verify(manifest, judged.trust)
        return "none" if name not in judged.trust.unsigned else "none, as appliance.yaml allows"
    if judged is None:
        return "not judged"
    signer = verify(manifest, judged.trust)
    return f"of {signer}" if signer else "of a stranger"


def _state(manifest: ModelManifest, options: argparse.Namespace) -> dict[str, object]:
    """What the action says of a package; a golden case tells provider and speed as well."""
    told = tuple(_told_beside(manifest))
    if options.action == "list":
        return {"state": "; ".join(("good", *told))}
    if options.action == "check":
        check_networks(manifest, _holding(options.config))
        return {"state": "; ".join((_AS_STATED, *told))}
    # The configuration says whose packages may run; here somebody looks at them by hand.
    trust = Trust(unsigned=frozenset({manifest.identity.name}))
    values = proof_values(try_package(manifest, trust, _holding(options.config)))
    return {
        "provider": providers_in_words(values),
        "golden": golden_in_words(values),
        "speed": speed_in_words(values),
        "state": f"golden case {golden_in_words(values)} on {providers_in_words(values)}",
    }


def _told_beside(manifest: ModelManifest) -> Iterator[str]:
    """What is no fault, and yet would disappoint."""
    if looks_at_slides(manifest):
        yield NO_SLIDES
    for spec in manifest.networks:
        for precision in spec.precisions:
            if precision != FP32 and not set(lowered_keys(precision)) & set(spec.tolerance):
                yield f"{spec.name} is never run in {precision}: no tolerance is for it"


def _holding(config: Path) -> HoldingSettings:
    """As the node would run it by the configuration; on the CPU where there is none."""
    try:
        return holding_settings(load_appliance(config, installed_models()))
    except NodeError:
        return HoldingSettings()


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, summary in (
        ("list", "what is installed, and how the models in use do on this computer"),
        ("check", "every file against its digest, signature, and whether each network opens"),
        ("golden", "run the golden case; the node then tries again what is out of service"),
    ):
        sub = actions.add_parser(action, help=summary, description=summary.capitalize() + ".")
        sub.add_argument("names", nargs="*", metavar="NAME", help="only these packages")
        add_json(sub)
        add_config(sub)
        sub.set_defaults(act=run)
    signing.add_actions(actions)
    summary = "make a package of a network of MONAI, nnU-Net, TotalSegmentator, or of plain ONNX"
    sub = actions.add_parser("import", help=summary, description=summary.capitalize() + ".")
    add_json(sub)
    add_import(sub)
    sub.set_defaults(act=run_import)


def _run(options: argparse.Namespace) -> int:
    return int(options.act(options))


COMMANDS = (Command(name="models", summary="the model packages", arguments=_arguments, run=_run),)
