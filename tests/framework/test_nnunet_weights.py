"""Checkpoints are loaded without running anything in them, or refused by name."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not here: nnU-Net weights are NOT tested")
pytest.importorskip(
    "dynamic_network_architectures",
    reason="nnU-Net's networks are not here (models/IMPORT_NNUNET.md): NOT tested",
)

import torch

from models.importers.framework.nnunet_network import (
    bare_network,
    build_network,
    load_checkpoint,
)
from models.importers.nnunet_plans import plan_of
from node.domain.errors import ImportRefused
from tests.framework.nnunet_folders import checkpoint_of
from tests.models.importers.nnunet_documents import old_plans, small_dataset, small_plans

PLAN = plan_of(small_plans(), small_dataset(), "3d_fullres")


def _content(**more: Any) -> dict[str, Any]:
    network = bare_network(PLAN, "nnUNetTrainer")
    whole = checkpoint_of(network.state_dict(), small_plans(), small_dataset(), "3d_fullres")
    return whole | more


def _saved(folder: Path, content: object) -> Path:
    path = folder / "fold_0" / "checkpoint_final.pth"
    path.parent.mkdir()
    torch.save(content, path)
    return path


def test_numpy_numbers_of_the_training_log_are_harmless(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(_saved(tmp_path, _content()))
    assert checkpoint.configuration == "3d_fullres"
    assert checkpoint.mirror_axes == (0, 1, 2)
    build_network(PLAN, checkpoint)


class _Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("place", ["logging", "network_weights", "init_args"])
def test_pickle_bomb_is_refused_by_name_and_does_not_run(tmp_path: Path, place: str) -> None:
    target = tmp_path / "ran"
    path = _saved(tmp_path, _content(**{place: {"x": _Bomb(target)}}))
    with pytest.raises(ImportRefused, match=r"(posix|nt|os)\.system"):
        load_checkpoint(path)
    assert not target.exists()


def test_bare_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fold_0" / "checkpoint_final.pth"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(_Bomb(tmp_path / "ran"), protocol=2))
    with pytest.raises(ImportRefused):
        load_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_damaged_file_says_so(tmp_path: Path) -> None:
    path = _saved(tmp_path, _content())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImportRefused, match="cannot be read as a checkpoint"):
        load_checkpoint(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    content = _content()
    name = next(iter(content["network_weights"]))
    content["network_weights"][name] = torch.full_like(content["network_weights"][name], np.nan)
    with pytest.raises(ImportRefused, match="not all finite"):
        load_checkpoint(_saved(tmp_path, content))


@pytest.mark.parametrize("key", ["network_weights", "trainer_name", "init_args"])
def test_what_is_missing_is_named(tmp_path: Path, key: str) -> None:
    content = _content()
    del content[key]
    with pytest.raises(ImportRefused, match=key):
        load_checkpoint(_saved(tmp_path, content))


def test_names_of_distributed_training_are_understood(tmp_path: Path) -> None:
    content = _content()
    weights = content["network_weights"]
    content["network_weights"] = {f"module.{name}": weights[name] for name in weights}
    build_network(PLAN, load_checkpoint(_saved(tmp_path, content)))


def test_weights_of_another_plan_are_refused(tmp_path: Path) -> None:
    other = small_plans(network="ResidualEncoderUNet")
    checkpoint = load_checkpoint(_saved(tmp_path, _content()))
    with pytest.raises(ImportRefused, match="do not fit the ResidualEncoderUNet"):
        build_network(plan_of(other, small_dataset(), "3d_fullres"), checkpoint)


def test_old_plan_builds_the_network_that_nnunet_builds() -> None:
    handler = pytest.importorskip("nnunetv2.utilities.plans_handling.plans_handler")
    networks = pytest.importorskip("nnunetv2.utilities.get_network_from_plans")
    with pytest.warns(UserWarning, match="old nnU-Net plans"):
        theirs = handler.PlansManager(old_plans()).get_configuration("3d_fullres")
    expected = networks.get_network_from_plans(
        theirs.network_arch_class_name,
        theirs.network_arch_init_kwargs,
        theirs.network_arch_init_kwargs_req_import,
        1,
        3,
        deep_supervision=False,
    )
    ours = bare_network(plan_of(old_plans(), small_dataset(), "3d_fullres"), "nnUNetTrainer")
    assert str(ours) == str(expected)


def test_batch_normalisation_trainer_replaces_the_norms() -> None:
    network = bare_network(PLAN, "nnUNetTrainerBN")
    kinds = {type(module).__name__ for module in network.modules()}
    assert "BatchNorm3d" in kinds
    assert "InstanceNorm3d" not in kinds
