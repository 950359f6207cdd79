"""Sandboxed program: judge an ONNX file; run MONAI's transforms and windows around it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from models.importers.exchange import Json, answer
from models.importers.framework.onnx_check import Facts, external_files, fitting_patch, judge


def main(request: Json, folder: Path) -> Json:
    """Name the files beside it, describe it, or give reference results on generated images."""
    if request["deed"] == "files":
        return {"files": external_files(Path(request["weights"]))}
    facts = judge(Path(request["weights"]), folder / "network.onnx")
    described = _described(facts)
    if request["deed"] == "describe":
        return described
    patch = fitting_patch(facts, request["plan"]["patch"])
    # PyTorch is needed only from here on.
    from models.importers.framework.onnx_reference import references  # noqa: PLC0415

    return {**described, "patch": list(patch), **references(request, folder, patch, facts)}


def _described(facts: Facts) -> dict[str, Any]:
    return {
        "ir": facts.ir,
        "opsets": facts.opsets,
        "producer": facts.producer,
        "inputs": [[item.name, item.dtype, list(item.shape)] for item in facts.inputs],
        "outputs": [[item.name, item.dtype, list(item.shape)] for item in facts.outputs],
        "ending": facts.ending,
        "parameters": facts.parameters,
        "notes": facts.notes,
    }


if __name__ == "__main__":
    sys.exit(answer(main))
