"""A trainer that may have built another network is never taken for granted."""

from __future__ import annotations

import pytest

from models.importers.nnunet_json import Doubts
from models.importers.nnunet_trainers import is_known, judge_trainer
from node.domain.errors import ImportRefused


@pytest.mark.parametrize(
    "trainer",
    [
        "nnUNetTrainer",
        "nnUNetTrainer_4000epochs_NoMirroring",
        "nnUNetTrainer_250epochs",
        "nnUNetTrainer_1epoch",
        "nnUNetTrainerNoMirroring",
        "nnUNetTrainer_DASegOrd0_NoMirroring",
        "nnUNetTrainerSkeletonRecall",
        "nnUNetTrainerBN",
    ],
)
def test_trainers_that_keep_the_planned_network_are_known(trainer: str) -> None:
    assert is_known(trainer)


@pytest.mark.parametrize(
    "trainer", ["nnUNetTrainerUMambaBot", "nnUNet_Primus_M_Trainer", "MyTrainer", ""]
)
def test_other_trainers_are_refused_by_name(trainer: str) -> None:
    doubts = Doubts("checkpoint_final.pth")
    judge_trainer(trainer, doubts)
    with pytest.raises(ImportRefused, match=f"'{trainer}'"):
        doubts.settle()
