"""Where things lie in a results folder of nnU-Net v2.

nnUNet_results/Dataset801_Abdomen/nnUNetTrainer__nnUNetPlans__3d_fullres/
    plans.json  dataset.json  fold_0/checkpoint_final.pth  fold_1/...  fold_all/...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.importers.nnunet_plans import DATASET, PLANS
from node.domain.errors import ImportRefused

#: nnU-Net predicts with the first; the second is from the best epoch of a training under way.
CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsFolder:
    """One trained configuration.

    Attributes:
        folder: the one that holds plans.json. folds: names of what is used, e.g. ("fold_0",).
        checkpoint: name of the file in each of them.
    """

    folder: Path
    folds: tuple[str, ...]
    checkpoint: str

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """One file a fold."""
        return tuple(self.folder / fold / self.checkpoint for fold in self.folds)

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that decides what the model computes."""
        return (self.folder / PLANS, self.folder / DATASET, *self.checkpoints)

    @property
    def dataset(self) -> str:
        """Name of the data set's folder, as far as it is above this one."""
        return self.folder.parent.name


def find_results(source: Path, folds: Sequence[str] = ()) -> ResultsFolder:
    """The trained configuration in or below a folder.

    Args:
        source: the folder with plans.json, or one of a data set that holds exactly one such.
        folds: names of the folds to use; () for all numbered ones, or "fold_all" if alone.

    Raises:
        ImportRefused: there is none, several, or a fold has no checkpoint.
    """
    folder = _trained(source)
    found = _folds(folder)
    chosen = tuple(folds) or _usual(tuple(found))
    if unknown := [fold for fold in chosen if fold not in found]:
        raise ImportRefused.once(
            str(folder),
            f"{', '.join(unknown)} holds no {CHECKPOINTS[0]} (there are: "
            f"{', '.join(found) or 'none'})",
            "write the folds that there are below 'folds:' of the form",
        )
    for checkpoint in CHECKPOINTS:
        if chosen and all(checkpoint in found[fold] for fold in chosen):
            return ResultsFolder(folder=folder, folds=chosen, checkpoint=checkpoint)
    raise ImportRefused.once(
        str(folder),
        f"no fold holds {CHECKPOINTS[0]}" if not chosen else "the folds hold different checkpoints",
        "copy the folder again, whole, from where the model was published",
    )


def _trained(source: Path) -> Path:
    if (source / PLANS).is_file():
        return source
    below = sorted(path.parent for path in source.glob(f"*/{PLANS}"))
    below += sorted(path.parent for path in source.glob(f"*/*/{PLANS}"))
    if len(below) == 1:
        return below[0]
    if below:
        names = ", ".join(str(path.relative_to(source)) for path in below[:6])
        raise ImportRefused.once(
            str(source), f"it holds {len(below)} trained models: {names}", "name one of them"
        )
    raise ImportRefused.once(
        str(source),
        f"there is no {PLANS} in it",
        "name the results folder of nnU-Net v2, the one that holds plans.json and fold_0; models "
        "of nnU-Net v1 (plans.pkl) are not supported",
    )


def _folds(folder: Path) -> dict[str, tuple[str, ...]]:
    """Checkpoints of each fold that has one, in order."""
    found = {}
    for fold in sorted(folder.glob("fold_*"), key=lambda path: (len(path.name), path.name)):
        names = tuple(name for name in CHECKPOINTS if (fold / name).is_file())
        if names:
            found[fold.name] = names
    return found


def _usual(names: tuple[str, ...]) -> tuple[str, ...]:
    """nnU-Net takes all numbered folds; a model of all training cases stands alone."""
    return tuple(name for name in names if name != "fold_all") or names
