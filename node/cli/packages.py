"""`models list`, `check`, `golden`, `import`: the packages on this computer."""

from __future__ import annotations

import argparse
from pathlib import Path

from config.load import load_appliance
from inference.engine import EngineOptions, open_network
from inference.golden import check_golden
from models.manifest import ModelManifest
from models.registry import MANIFEST_NAME, load_manifest
from models.signature import Trust, verify
from node.cli import signing
from node.cli.command import Command, Exit, add_json, complain, print_rows
from node.cli.importing import add_import, run_import
from node.domain.errors import ConfigError, NodeError
from node.packages import MODELS_FOLDER, installed_models
from node.settings import trust_of

_UNKNOWN = {"version": "-", "class": "-", "digest": "-", "signature": "-", "networks": "-"}


def run(options: argparse.Namespace) -> int:
    """List, check or prove every package, or those that are named."""
    trust = _trust(options.config)
    folders = {path.parent.name: path.parent for path in MODELS_FOLDER.glob(f"*/{MANIFEST_NAME}")}
    unknown = sorted(set(options.names) - folders.keys())
    if unknown:
        complain(
            f"no package {', '.join(unknown)} is installed; installed: {', '.join(sorted(folders))}"
        )
        return Exit.REFUSED
    rows = []
    failures = 0
    for name in sorted(options.names or folders):
        row: dict[str, object] = {"model": name, **_UNKNOWN}
        try:
            manifest = load_manifest(folders[name])
            row |= _described(manifest)
            row["signature"] = _signature(manifest, trust)
            row["state"] = _state(manifest, options.action)
        except NodeError as error:
            failures += 1
            row["state"] = "faulty"
            complain("\n".join(f"{name}: {line}" for line in str(error).splitlines()))
        rows.append(row)
    print_rows(rows, as_json=options.json, empty="no model package is installed")
    return Exit.FAILURES if failures else Exit.GOOD


def _trust(config: Path) -> Trust | None:
    """Whose packages may run by the configuration; None where there is none to ask."""
    if not config.is_file():
        return None
    try:
        return trust_of(load_appliance(config, installed_models()))
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


def _signature(manifest: ModelManifest, trust: Trust | None) -> str:
    """Whose it is. A package that is not in use may lack one; a wrong one is a fault."""
    if not signing.is_signed(manifest):
        return "none"
    if trust is None:
        return "not judged"
    signer = verify(manifest, trust)
    return f"of {signer}" if signer else "of a stranger"


def _state(manifest: ModelManifest, action: str) -> str:
    if action == "list":
        return "good"
    networks = {spec.name: open_network(spec, EngineOptions()) for spec in manifest.networks}
    if action == "check":
        return "good: files, graph, names and shapes are as stated"
    check_golden(manifest, networks)
    providers = sorted({network.provider for network in networks.values()})
    return "golden case reproduced on " + ", ".join(providers)


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, summary in (
        ("list", "what is installed"),
        ("check", "every file against its digest, signature, and whether each network opens"),
        ("golden", "run the golden case of each package"),
    ):
        sub = actions.add_parser(action, help=summary, description=summary.capitalize() + ".")
        sub.add_argument("names", nargs="*", metavar="NAME", help="only these packages")
        add_json(sub)
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
