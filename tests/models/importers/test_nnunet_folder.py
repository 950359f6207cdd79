"""The trained configuration is found where nnU-Net puts it, or the message says what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.importers.nnunet_folder import find_results
from node.domain.errors import ImportRefused


def _trained(folder: Path, *folds: str, checkpoint: str = "checkpoint_final.pth") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text("{}")
    for fold in folds:
        (folder / fold).mkdir()
        (folder / fold / checkpoint).write_bytes(b"")
    return folder


def test_numbered_folds_are_averaged_and_the_fold_of_all_cases_left_out(tmp_path: Path) -> None:
    folder = _trained(tmp_path / "t", "fold_0", "fold_1", "fold_all")
    assert find_results(folder).folds == ("fold_0", "fold_1")


def test_fold_of_all_cases_stands_alone(tmp_path: Path) -> None:
    assert find_results(_trained(tmp_path / "t", "fold_all")).folds == ("fold_all",)


def test_data_set_folder_with_one_model_is_enough(tmp_path: Path) -> None:
    inner = _trained(tmp_path / "Dataset801_Abdomen/nnUNetTrainer__nnUNetPlans__2d", "fold_0")
    found = find_results(tmp_path / "Dataset801_Abdomen")
    assert (found.folder, found.dataset) == (inner, "Dataset801_Abdomen")


def test_several_models_are_named(tmp_path: Path) -> None:
    _trained(tmp_path / "D/a__p__2d", "fold_0")
    _trained(tmp_path / "D/a__p__3d_fullres", "fold_0")
    with pytest.raises(ImportRefused, match="a__p__2d, a__p__3d_fullres"):
        find_results(tmp_path / "D")


def test_chosen_fold_without_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"fold_3 holds no.*fold_0"):
        find_results(_trained(tmp_path / "t", "fold_0"), ("fold_3",))


def test_unfinished_training_is_taken_as_such(tmp_path: Path) -> None:
    folder = _trained(tmp_path / "t", "fold_0", checkpoint="checkpoint_best.pth")
    assert find_results(folder).checkpoint == "checkpoint_best.pth"


def test_folder_of_the_first_nnunet_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "plans.pkl").write_bytes(b"")
    with pytest.raises(ImportRefused, match="nnU-Net v1"):
        find_results(tmp_path)
