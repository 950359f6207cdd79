"""Published architectures in their true sizes are imported: `make import-proof`.

    .venv-import/bin/python -m tests.framework.true_sizes [NAME ...]

Weights are generated. Each is written as its framework leaves it, then taken over by the command
of the product. A row for each: how many generated volumes, the worst parity on them, seconds and
memory of the whole import. It takes minutes for each, so it is no part of `make import-test`,
which does the same with small networks of the same kinds.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from models.importers.totalsegmentator import STRUCTURES
from tests.framework import zoo
from tests.framework.nnunet_folders import write_results
from tests.models.importers.nnunet_documents import stored

#: Windows of a network whose own (512 x 512 x 192) take MONAI more than the default of
#: `--memory-mb`: about those that it was trained on.
SMALLER: Mapping[str, tuple[int, ...]] = {"lung_nodule_ct_detection": (192, 192, 96)}
TOTAL = "Dataset297_TotalSegmentator_total_3mm_1559subj"


def _bundle(name: str, scratch: Path) -> tuple[Path, str]:
    config, meta = zoo.BUNDLES[name]()
    return zoo.write_bundle(scratch / name, config, meta), "monai"


def _nnunet(plan: str, configuration: str, scratch: Path) -> tuple[Path, str]:
    plans, dataset = stored(plan)
    folder = scratch / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    axes = (0, 1) if configuration == "2d" else (0, 1, 2)
    return write_results(folder, plans, dataset, configuration, mirror_axes=axes), "nnunet"


def _total(scratch: Path) -> tuple[Path, str]:
    plans, dataset = stored("total_3mm")
    trainer = "nnUNetTrainer_4000epochs_NoMirroring"
    plans["dataset_name"] = TOTAL
    dataset["labels"] = {"background": 0} | {name: n for n, name in enumerate(STRUCTURES, start=1)}
    folder = scratch / TOTAL / f"{trainer}__nnUNetPlans__3d_fullres"
    write_results(folder, plans, dataset, "3d_fullres", trainer=trainer, mirror_axes=None)
    return folder, "totalsegmentator"


SOURCES: Mapping[str, Callable[[Path], tuple[Path, str]]] = {
    **{name: partial(_bundle, name) for name in zoo.BUNDLES},
    "nnU-Net abdomen 3d_fullres": partial(_nnunet, "abdomen", "3d_fullres"),
    "nnU-Net abdomen 2d": partial(_nnunet, "abdomen", "2d"),
    "TotalSegmentator total, 3 mm": _total,
}


def main(names: list[str]) -> int:
    """Import those, or all; print a row for each; 1 where one was refused."""
    if names[:1] == ["--row"]:
        with tempfile.TemporaryDirectory(prefix="vigie-import-") as scratch:
            row = _imported(names[1], Path(scratch))
        sys.stdout.write(f"{row or f'| {names[1]} | refused | | | | | |'}\n")
        return int(row is None)
    sys.stdout.write(
        "| architecture | volumes | logits max | logits mean | lowest Dice | seconds | memory |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    sys.stdout.flush()
    # A process for each, since only the largest memory of all children is known.
    command = [sys.executable, "-m", "tests.framework.true_sizes", "--row"]
    ended = [subprocess.run([*command, name], check=False) for name in names or SOURCES]
    return max(done.returncode for done in ended)


def _imported(name: str, scratch: Path) -> str | None:
    source, kind = SOURCES[name](scratch)
    command = [sys.executable, "-m", "node", "models", "import", str(source), "--kind", kind]
    command += ["--out", str(scratch / "package"), "--python", sys.executable, "--json"]
    if name in SMALLER:
        form = scratch / "form.yaml"
        form.write_text(f"patch: {list(SMALLER[name])}\n", encoding="ascii")
        command += ["--form", str(form)]
    started = time.monotonic()
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - started
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    if done.returncode:
        return None
    parity = json.loads(done.stdout)["parity"]
    largest = max(float(row["logits max"]) for row in parity)
    mean = max(float(row["logits mean"]) for row in parity)
    dice = min((row["lowest Dice"] for row in parity), default="-")
    return (
        f"| {name} | {len(parity)} | {largest:.1e} | {mean:.1e} | {dice} | {seconds:.0f} | "
        f"{memory:.1f} GB |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
