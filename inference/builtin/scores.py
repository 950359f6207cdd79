"""From the scores of slices, views or tiles to answers about the exam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.builtin import words
from inference.steps.chain import postprocess
from inference.steps.image import Image
from models.manifest_results import Aggregate, ClassResult, Question, Results
from models.manifest_steps import PostStep
from node.domain.errors import ModelError
from node.domain.finding import CodedConcept, Evaluation, Measurement

Floats = NDArray[np.float32]


def activated(scores: Floats, steps: Sequence[PostStep], thresholds: Mapping[str, float]) -> Floats:
    """(item, class) through `postprocess:`, which sees the classes as channels."""
    image = Image(values=scores.T[:, :, np.newaxis, np.newaxis], affine=np.eye(4))
    values = postprocess(image, steps, thresholds).values
    return np.asarray(values[:, :, 0, 0].T, np.float32)


def combined(scores: Floats, rule: Aggregate) -> Floats:
    """(item, class) -> (class,): each class by itself."""
    if rule.how == "max":
        return np.asarray(scores.max(axis=0), np.float32)
    if rule.how == "mean":
        return np.asarray(scores.mean(axis=0), np.float32)
    best = np.sort(scores, axis=0)[-rule.top :]
    return np.asarray(best.mean(axis=0), np.float32)


def probability(scores: Floats, result: ClassResult) -> float:
    """Per cent.

    Raises:
        ModelError: it is none: the network ends in logits, and no step makes them probabilities.
    """
    if result.channel >= len(scores):
        raise ModelError(
            f"there is no channel {result.channel} for '{result.name}': there are {len(scores)}"
        )
    value = float(scores[result.channel])
    if not -1e-6 <= value <= 1 + 1e-6:
        raise ModelError(
            f"the score of '{result.name}' is {value:.3g}, which is no probability; add the step "
            "softmax or sigmoid to 'postprocess:' in model.yaml"
        )
    return 100.0 * float(np.clip(value, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Answers:
    """About the whole exam; `present` are the classes that reach their thresholds."""

    evaluations: tuple[Evaluation, ...]
    measurements: tuple[Measurement, ...]
    present: tuple[ClassResult, ...]


def answers(scores: Floats, results: Results, thresholds: Mapping[str, float]) -> Answers:
    """What the exam's scores say about each class and each question."""
    evaluations = []
    measurements = []
    present = []
    for result in results.classes:
        percent = probability(scores, result)
        there = percent >= thresholds[result.threshold]
        if there:
            present.append(result)
        evaluations.append(Evaluation(result.code, words.PRESENT if there else words.ABSENT))
        measurements.append(
            Measurement(
                name=result.score,
                value=percent,
                unit=words.PERCENT,
                label=f"{result.name} probability",
            )
        )
    evaluations += [Evaluation(item.code, _best(scores, item)) for item in results.questions]
    return Answers(tuple(evaluations), tuple(measurements), tuple(present))


def _best(scores: Floats, question: Question) -> CodedConcept:
    """The answer with the largest score; of equal ones the first."""
    return max(question.answers, key=lambda answer: float(scores[answer.channel])).code


def threshold_limits(results: Results, thresholds: Mapping[str, float]) -> tuple[str, ...]:
    """From which probability on a class counts as present."""
    return tuple(
        f"{item.name} is called present from a probability of {thresholds[item.threshold]:g} % on."
        for item in results.classes
    )
