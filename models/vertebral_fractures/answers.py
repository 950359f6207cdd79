"""What is said of the whole exam: how it ended, the answer, which bodies call, what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from models.trunk.anchors import counted_from
from models.vertebral_fractures import vocabulary as say
from models.vertebral_fractures.measured import Measured
from models.vertebral_fractures.measuring import CUT
from models.vertebral_fractures.plausibility import LEAST_BODIES
from node.domain.finding import CodedConcept, Evaluation, Status

_UNSEEN = "bone is seen where the next vertebra would lie, and none was recognised"


def status_of(measured: Measured) -> tuple[Status, str]:
    """How the analysis ended, and why it is not whole."""
    reasons = list(_reasons(measured))
    if reasons:
        return Status.PARTIAL, "; ".join(reasons)
    if any(one.finding is not say.MEASURED for one in measured.verdicts):
        return Status.FINDINGS, ""
    return Status.NO_FINDINGS, ""


def _reasons(measured: Measured) -> Iterator[str]:
    if not measured.is_graded:
        count = len(measured.bodies)
        told = f"only {count} vertebral bod{'y' if count == 1 else 'ies'} could be measured"
        yield f"{told}; at least {LEAST_BODIES} are needed to grade losses of height, so none is"
    missing = _missing(measured)
    if missing:
        yield "not measured: " + "; ".join(missing)


def _missing(measured: Measured) -> list[str]:
    """Whole bodies in view that were not measured or not even recognised, each with its reason."""
    spine = measured.spine
    missing = [
        f"{measured.name_of(one.place.number)}: {one.reason}"
        for one in measured.unmeasured
        if CUT not in one.reason
    ]
    missing += [
        f"between {spine.names[k]} and {spine.names[k + 1]} there is room for another "
        "vertebra, so the levels above may be wrong"
        for k in spine.rooms
    ]
    if spine.sacral:
        missing.append(
            f"below {_end(spine.names[0])} a body was seen that the count of the levels makes "
            "sacrum"
        )
    if spine.below:
        missing.append(f"below {_end(spine.names[0])} {_UNSEEN}")
    if spine.above:
        missing.append(f"above {_end(spine.names[-1])} {_UNSEEN}")
    return missing


def _end(name: str) -> str:
    return f"the {name}" if name[0].islower() or name[0].isdigit() else name


def exam_evaluations(measured: Measured) -> Iterator[Evaluation]:
    """The answer, then what calls, then what it rests on."""
    yield Evaluation(say.FRACTURE, _answer(measured))
    for concept, finding in ((say.FRACTURES, say.FRACTURE), (say.POSSIBLE, say.DEFORMITY)):
        named = [
            f"{measured.names[index]}: {measured.verdicts[index].words}"
            for index in order_of(measured)
            if measured.verdicts[index].finding is finding
        ]
        if named:
            yield Evaluation(concept, "; ".join(named))
    spine = measured.spine
    if spine.anchors:
        yield Evaluation(say.LEVELS_FIXED, counted_from(spine.anchors))
    else:
        doubts = "; ".join(spine.doubts) or "no anchor is in view"
        told = f"nothing, so levels are uncertain and bodies are counted from below: {doubts}"
        yield Evaluation(say.LEVELS_FIXED, told)
    rest = [
        f"{measured.name_of(one.place.number)}: {one.reason}"
        for one in measured.unmeasured
        if CUT in one.reason
    ]
    rest = [*_missing(measured), *rest]
    if rest:
        yield Evaluation(say.NOT_MEASURED, "; ".join(rest))
    yield Evaluation(say.BONE, _bone_words(measured))


def _answer(measured: Measured) -> CodedConcept:
    """A fracture in any body is one; that there is none is said of a whole spine alone."""
    kinds = [one.finding for one in measured.verdicts]
    if say.FRACTURE in kinds:
        return say.PRESENT
    whole = measured.is_graded and not _missing(measured)
    return say.ABSENT if whole and say.DEFORMITY not in kinds else say.INDETERMINATE


def order_of(measured: Measured) -> list[int]:
    """Indices of the bodies as they are listed: fractures, possible ones, the rest from below."""
    ranks = {say.FRACTURE: 0, say.DEFORMITY: 1}

    def place(index: int) -> tuple[int, float, int]:
        rank = ranks.get(measured.verdicts[index].finding, 2)
        sure = measured.gradings[index].certainty if rank < 2 else 0.0
        return rank, -sure, index

    return sorted(range(len(measured.bodies)), key=place)


def _bone_words(measured: Measured) -> str:
    index = measured.bone()
    phase = measured.contrast.words
    for name, reason in measured.passed_over():
        phase += f"; {name} was passed over: {reason}"
    if index is None:
        return f"not stated for the exam: no sound L1, T12 or L2 is at hand; {phase}"
    density = measured.densities[index]
    return (
        f"{measured.names[index]} {density.mean_hu:.0f} HU (SD {density.deviation_hu:.0f}), {phase}"
    )
