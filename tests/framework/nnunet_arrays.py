"""Writes `tests/node/importing/nnunet_arrays.npz`: what nnU-Net itself makes of small volumes.

    .venv-import/bin/python -m tests.framework.nnunet_arrays

Needs nnunetv2 (see models/IMPORT_NNUNET.md). The tests of the serving environment compare the
steps of a package with these numbers, so that they need no nnU-Net.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.export_prediction import (
    convert_predicted_logits_to_segmentation_with_correct_shape,
)
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from tests.models.importers.nnunet_documents import (
    ARRAY_CASES,
    array_logits,
    array_volume,
    small_dataset,
)

OUT = Path(__file__).parents[1] / "node" / "importing" / "nnunet_arrays.npz"


def main() -> None:
    """Every case, in one file."""
    arrays: dict[str, Any] = {"nnunetv2": np.array(version("nnunetv2"))}
    for name in ARRAY_CASES:
        arrays |= {f"{name}.{key}": value for key, value in _case(name)}
    np.savez_compressed(OUT, **arrays)


def _case(name: str) -> Iterator[tuple[str, Any]]:
    plans, configuration_name, spacing = ARRAY_CASES[name]
    dataset = small_dataset()
    manager = PlansManager(plans)
    configuration = manager.get_configuration(configuration_name)
    # (z, y, x) as SimpleITK reads an axial series: to the head, to the back, to the left.
    data = array_volume(name)[np.newaxis].astype(np.float32)
    prepare = configuration.preprocessor_class(verbose=False)
    ready, _, properties = prepare.run_case_npy(
        data, None, {"spacing": list(spacing)}, manager, configuration, dataset
    )
    yield "preprocessed", ready
    logits = array_logits(ready.shape[1:])
    labels = convert_predicted_logits_to_segmentation_with_correct_shape(
        torch.from_numpy(logits),
        manager,
        configuration,
        manager.get_label_manager(dataset),
        properties,
    )
    yield "labels", np.asarray(labels).astype(np.uint8)


if __name__ == "__main__":
    main()
