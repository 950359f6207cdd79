"""Trainers of nnU-Net and TotalSegmentator, by what they do to the planned network.

A checkpoint names the class that trained it. That class may build another network than the
plan says, which the weights do not always betray (an activation has none). So only trainers
are taken whose effect is known; facts of nnunetv2 2.8 and TotalSegmentator 2.18.
"""

from __future__ import annotations

import re

from models.importers.nnunet_json import Doubts

#: Length of training, learning rate, loss, augmentation: the network is the planned one.
_PLAIN = frozenset(
    {
        "Adam", "Adam1en3", "Adam3en4", "Adan", "Adan1en1", "Adan1en3", "Adan3en4",
        "AdanCosAnneal", "Benchmark_5epochs", "Benchmark_5epochs_noDataLoading", "CELoss",
        "CELoss_5epochs", "CosAnneal", "DA5", "DA5Segord0", "DA5_10epochs", "DA5ord0",
        "DiceCELoss_noSmooth", "DiceLoss", "DiceTopK10Loss", "DiceTopK10Loss_2000epochs", "NoDA",
        "NoDeepSupervision", "NoMirroring", "SkeletonRecall", "Topk10Loss", "Topk10LossLS01",
        "VanillaAdam", "VanillaAdam1en3", "VanillaAdam3en4", "_DASegOrd0",
        "_DASegOrd0_NoMirroring", "_MOSAIC_1k_QuarterLR_NoMirroring", "_noDummy2DDA",
        "_onlyMirror01", "_onlyMirror01_1500ep", "_onlyMirror01_DA5", "_onlyMirror01_DASegOrd0",
        "_probabilisticOversampling", "_probabilisticOversampling_010",
        "_probabilisticOversampling_033", "_warmup", "",
    }
)  # fmt: skip
_EPOCHS = re.compile(r"_\d{1,5}epochs?(_NoMirroring)?")
_STEM = "nnUNetTrainer"
#: Replaces every normalisation of the planned network by batch normalisation.
BATCH_NORM = "nnUNetTrainerBN"


def is_known(trainer: str) -> bool:
    """Whether the effect of this trainer on the network is known."""
    if trainer == BATCH_NORM:
        return True
    suffix = trainer.removeprefix(_STEM)
    return trainer.startswith(_STEM) and (suffix in _PLAIN or _EPOCHS.fullmatch(suffix) is not None)


def judge_trainer(trainer: str, doubts: Doubts) -> None:
    """Note a trainer whose effect on the network is not known."""
    if not is_known(trainer):
        doubts.add(
            "trainer_name",
            f"the trainer {trainer!r} is not known; it may have built another network than the "
            "plan says, and the weights alone do not show it",
            "export the network to ONNX with the code that trained it, and import that file",
        )
