"""What leaves the sandbox of an nnU-Net import: ONNX files and facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.load import read_document
from config.nnunet_form import NnunetForm
from models.importers.archive import unpack
from models.importers.nnunet_folder import ResultsFolder, find_results
from models.importers.nnunet_plans import Plan, read_plan
from node.importing.environment import find_environment
from node.importing.importer import ImportRequest
from node.importing.nnunet_recipe import check_supported
from node.importing.sandbox import Outcome, Sandbox

_NEEDED = ("torch", "onnx", "onnxscript", "nibabel", "dynamic_network_architectures")
_EXPORT = "models.importers.framework.nnunet_export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A network that left the sandbox as ONNX.

    Attributes:
        report: of `nnunet_export`. folder: where its files lie.
        exact: take the graphs whose normalisations sum in stages.
    """

    plan: Plan
    results: ResultsFolder
    form: NnunetForm
    sandbox: Sandbox
    outcome: Outcome
    folder: Path
    exact: bool = False

    @property
    def report(self) -> Mapping[str, Any]:
        """What the program said."""
        return self.outcome.report

    @property
    def networks(self) -> Mapping[str, Path]:
        """Path in the package -> file, one a fold."""
        suffix = ".exact.onnx" if self.exact else ".onnx"
        return {
            f"weights/{name}": (self.folder / name).with_suffix(suffix)
            for name in self.report["networks"]
        }


def export_network(request: ImportRequest) -> Exported:
    """Find the folder, load the weights safely, write ONNX."""
    form = read_document(request.form, NnunetForm, "--form") if request.form else NnunetForm()
    source = request.source
    if source.is_file():
        request.tell("unpack")
        unpacked = request.scratch / "unpacked"
        unpacked.mkdir()
        source = unpack(source, unpacked)
    results = find_results(source, tuple(map(str, form.folds)))
    environment = find_environment(request.python, _NEEDED)
    folder = request.scratch / "export"
    folder.mkdir()
    request.tell(f"export {len(results.folds)} fold(s) of {results.folder.name} to ONNX")
    sandbox = Sandbox(environment=environment, readable=(results.folder,), limits=request.limits)
    outcome = sandbox.run(_EXPORT, location(results), folder)
    plan = read_plan(results.folder, str(outcome.report["configuration"]))
    check_supported(plan)
    return Exported(
        plan=plan,
        results=results,
        form=form,
        sandbox=sandbox,
        outcome=outcome,
        folder=folder,
    )


def location(results: ResultsFolder) -> dict[str, Any]:
    """What every sandboxed program is told of the folder."""
    return {
        "folder": str(results.folder.resolve()),
        "folds": list(results.folds),
        "checkpoint": results.checkpoint,
    }
