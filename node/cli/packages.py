"""`models list`, `check`, `golden`, `import`: the packages on this computer."""

from __future__ import annotations

import argparse

from inference.engine import EngineOptions, open_network
from inference.golden import check_golden
from models.registry import load_manifest
from node.cli.command import Command, Exit, add_json, complain, print_rows
from node.cli.importing import add_import, run_import
from node.domain.errors import NodeError
from node.packages import MODELS_FOLDER, installed_models


def run(options: argparse.Namespace) -> int:
    """List, check or prove every package, or import one."""
    return run_import(options) if options.action == "import" else _run_each(options)


def _run_each(options: argparse.Namespace) -> int:
    rows = []
    failures = 0
    for name in installed_models():
        row: dict[str, object] = {"model": name}
        try:
            manifest = load_manifest(MODELS_FOLDER / name)
            row["version"] = manifest.identity.version
            row["class"] = manifest.identity.ebai_class
            row["digest"] = manifest.identity.digest[:16]
            row["networks"] = ", ".join(spec.name for spec in manifest.networks)
            row["state"] = "good"
            if options.action == "golden":
                networks = {
                    spec.name: open_network(spec, EngineOptions()) for spec in manifest.networks
                }
                check_golden(manifest, networks)
                providers = sorted({network.provider for network in networks.values()})
                row["state"] = "golden case reproduced on " + ", ".join(providers)
        except NodeError as error:
            failures += 1
            row.update({"version": "-", "class": "-", "digest": "-", "networks": "-"} | row)
            row["state"] = "faulty"
            complain(f"{name}: {error}")
        rows.append(row)
    print_rows(rows, as_json=options.json, empty="no model package is installed")
    return Exit.FAILURES if failures else Exit.GOOD


_ACTIONS = {
    "list": "what is installed",
    "check": "every file against its digest",
    "golden": "run the golden case of each package",
}


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary.capitalize() + ".")
        add_json(action)
    summary = "make a package of a network of MONAI, nnU-Net, TotalSegmentator, or of plain ONNX"
    action = actions.add_parser("import", help=summary, description=summary.capitalize() + ".")
    add_json(action)
    add_import(action)


COMMANDS = (Command(name="models", summary="the model packages", arguments=_arguments, run=run),)
