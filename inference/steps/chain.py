"""A list of steps, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from inference.steps import intensity, interest, labels, spatial
from inference.steps.best_class import best_class
from inference.steps.image import Image, Values
from models.manifest_boxes import Boxes
from models.manifest_steps import (
    POST_STEPS,
    PRE_STEPS,
    Argmax,
    Invert,
    PostStep,
    PreStep,
    Regions,
    Threshold,
)
from node.domain.errors import ModelError

#: One function a step; the name of the function is the word of the step.
_FUNCTIONS: Mapping[str, Callable[..., Image]] = {
    function.__name__: function
    for module in (spatial, intensity, interest, labels)
    for function in vars(module).values()
    if callable(function) and function.__name__ in {s.step for s in (*PRE_STEPS, *POST_STEPS)}
}


def preprocess(image: Image, steps: Sequence[PreStep]) -> Image:
    """From a volume as it lies to what the network takes.

    Raises:
        NothingLeft: the pixels contradict what the package expects.
        ModelError: the steps do not fit the image.
    """
    for step in steps:
        image = _FUNCTIONS[step.step](image, step)
    return image


def postprocess(
    image: Image,
    steps: Sequence[PostStep],
    thresholds: Mapping[str, float],
    *,
    certainty: bool = False,
) -> Image:
    """From the network's channels to what is measured.

    `invert` straight before `argmax` is done channel by channel: the probabilities of a hundred
    classes never lie on the grid of the volume together.

    Args:
        thresholds: the package's, by name, as the site set them.
        certainty: keep the value of the channel that each label was chosen by.
    """
    todo = list(steps)
    while todo:
        step = todo.pop(0)
        if isinstance(step, Invert) and todo and isinstance(todo[0], Argmax):
            image = _best_undone(image, step, certainty=certainty)
            todo.pop(0)
        elif certainty and isinstance(step, Argmax | Threshold | Regions):
            chosen = _chosen(image, step)
            image = replace(_apply(image, step, thresholds), certainty=chosen)
        else:
            image = _apply(image, step, thresholds)
    return image


def _chosen(image: Image, step: Argmax | Threshold | Regions) -> Values:
    """(1, i, j, k) value of the channel that decides."""
    if isinstance(step, Threshold):
        return image.values[step.channel : step.channel + 1]
    return np.asarray(image.values.max(axis=0, keepdims=True))


def _apply(image: Image, step: PostStep, thresholds: Mapping[str, float]) -> Image:
    if isinstance(step, Boxes):
        raise ModelError("step boxes belongs to the pipeline 'detection'; correct model.yaml")
    if isinstance(step, Threshold | Regions):
        return _FUNCTIONS[step.step](image, step, thresholds)
    return _FUNCTIONS[step.step](image, step)


def _best_undone(image: Image, step: Invert, *, certainty: bool) -> Image:
    """`invert` and `argmax`.

    The best class is chosen behind the last interpolation: what only turns or pads comes after
    it, on labels, and the values of a class lie in memory as they were computed.
    """
    moves, kept = spatial.undone(image.trace, step)
    last = max((at for at, move in enumerate(moves) if move.interpolates), default=-1)
    number_of, best = best_class(
        image.values, moves[: last + 1], step.interpolation, certainty=certainty
    )
    sure = best if certainty else None
    for move in moves[last + 1 :]:
        number_of = move.undo(number_of, "nearest")
        sure = None if sure is None else move.undo(sure, "nearest")
    affine = moves[-1].source.affine if moves else image.affine
    return Image(values=number_of, affine=affine, trace=kept, certainty=sure)
