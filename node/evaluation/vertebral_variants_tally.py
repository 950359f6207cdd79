"""What both packages said of spines beside the usual one, counted for each variant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from models.phantoms.trunk import Phantom
from models.vertebral_fractures import vocabulary as say
from node.domain.finding import CodedConcept, Status
from node.evaluation.fat_without_skin import cm2_without_skin
from node.evaluation.product import Look
from node.evaluation.vertebral_tally import HEIGHT_MM, Tally, add, heights_of

#: Mid-L3 is the right one within this distance: less than half a vertebra, mm.
WITHIN_MM = 10.0
#: Names of bodies in a reason, which do not matter when reasons are counted.
_NAME = re.compile(r"\b(?:[LT]\d{1,2}|lowest seen|\d+(?:st|nd|rd|th) from below): ")
TISSUES = {
    "muscle": "L3 skeletal muscle",
    "subcutaneous fat": "L3 subcutaneous fat",
    "visceral fat": "L3 visceral fat",
}
_SUBCUTANEOUS = TISSUES["subcutaneous fat"]


@dataclass(slots=True)
class SpineTally:
    """Vertebral fractures of one variant.

    Attributes:
        answers: what was answered to "is there a fracture", or "not eligible".
        fixed: what the levels rest on. doubts: why they rest on nothing.
    """

    seen: Tally = field(default_factory=Tally)
    answers: Counter[str] = field(default_factory=Counter)
    fixed: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class AreaTally:
    """Body composition of one variant.

    Attributes:
        areas: true and measured, cm2, where L3 is right. without_skin: of subcutaneous fat, where
            the skin's own pixels are no part of the truth.
    """

    scans: int = 0
    off_mm: list[float] = field(default_factory=list)
    areas: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: {tissue: [] for tissue in TISSUES}
    )
    without_skin: list[tuple[float, float]] = field(default_factory=list)
    partial: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def add_spine(tally: SpineTally, phantom: Phantom, look: Look) -> None:
    """One study of vertebral fractures."""
    add(tally.seen, phantom, look)
    findings = look.findings
    if findings.status is Status.NOT_ELIGIBLE:
        tally.answers["not eligible"] += 1
    for evaluation in findings.exam_evaluations:
        if evaluation.name == say.FRACTURE:
            assert isinstance(evaluation.value, CodedConcept)
            tally.answers[evaluation.value.meaning.lower()] += 1
        if evaluation.name == say.LEVELS_FIXED:
            words = str(evaluation.value)
            if words.startswith("nothing"):
                tally.fixed["nothing"] += 1
                tally.doubts[words.rsplit("from below: ", maxsplit=1)[-1]] += 1
            else:
                tally.fixed[words] += 1
    tally.reasons.update(_plain(findings.reason))


def add_areas(tally: AreaTally, phantom: Phantom, look: Look) -> None:
    """One study of body composition."""
    tally.scans += 1
    findings, truth = look.findings, phantom.truth
    if findings.reason:
        tally.reasons[_short(findings.reason)] += 1
    if not findings.findings:
        return
    tally.partial += findings.status is Status.PARTIAL
    assert truth.l3_z_mm is not None
    assert truth.areas is not None
    off = findings.segmented_planes[0].position_mm[2] - truth.l3_z_mm
    tally.off_mm.append(off)
    if abs(off) > WITHIN_MM:
        return
    true = {
        "muscle": truth.areas.muscle,
        "subcutaneous fat": truth.areas.subcutaneous_fat,
        "visceral fat": truth.areas.visceral_fat,
    }
    for tissue, name in TISSUES.items():
        named = [f for f in findings.findings if f.tracking_identifier == name]
        found = named[0].measurements[0].value if named else 0.0
        tally.areas[tissue].append((true[tissue], found))


def add_fat_without_skin(tally: AreaTally, phantom: Phantom, look: Look) -> None:
    """Subcutaneous fat of one study, where L3 is right and fat was found."""
    middle = phantom.truth.l3_z_mm
    named = [f for f in look.findings.findings if f.tracking_identifier == _SUBCUTANEOUS]
    if not named or middle is None:
        return
    if abs(look.findings.segmented_planes[0].position_mm[2] - middle) <= WITHIN_MM:
        tally.without_skin.append((cm2_without_skin(phantom), named[0].measurements[0].value))


def areas_told(look: Look) -> str:
    """What body composition says, in a line."""
    findings = look.findings
    if not findings.findings:
        return f"{findings.status.value}: {findings.reason}"
    at = findings.segmented_planes[0].position_mm[2]
    anchor = next(str(e.value) for e in findings.exam_evaluations)
    muscle = findings.findings[0].measurements[0].value
    return f"L3 at z {at:.1f} mm by {anchor}; muscle {muscle:.1f} cm2 {findings.reason}"


def spine_table(tallies: Mapping[str, SpineTally]) -> str:
    """Vertebral fractures: a row for each variant."""
    lines = [
        "| variant (simulated) | scans | bodies measured | level right, of stated | stated, of "
        "measured | heights within 2 mm | false fractures | sound bodies called possible | true "
        "fractures called (or possible) | answer | levels rest on | what was not measured, and "
        "why |",
        "|---" * 12 + "|",
    ]
    for name, tally in tallies.items():
        pairs = tally.seen.pairs
        seen = [p for p in pairs if p.finding is not None]
        errors = [
            abs(a - b)
            for p in seen
            if p.finding is not None
            for a, b in zip(heights_of(p.finding), p.truth.heights_mm, strict=True)
        ]
        sound = [p.finding for p in seen if p.truth.grade == 0 and p.finding is not None]
        broken = [p.finding for p in pairs if p.truth.grade >= 2]
        called = [f.finding for f in broken if f is not None]
        named = tally.seen.named
        cells = [
            name,
            str(tally.seen.scans),
            _of(len(seen), len(pairs)),
            _of(sum(named), len(named)),
            _of(len(named), len(seen)),
            _of(sum(error <= HEIGHT_MM for error in errors), len(errors)),
            f"{sum(count for _, count in tally.seen.false_marks):.0f}",
            _of(sum(f.finding == say.DEFORMITY for f in sound), len(sound)),
            f"{_of(called.count(say.FRACTURE), len(broken))} ({called.count(say.DEFORMITY)})"
            if broken
            else "none there",
            _counts(tally.answers),
            _counts(tally.fixed) + (f" ({_counts(tally.doubts)})" if tally.doubts else ""),
            _counts(tally.reasons) or "all measured",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def areas_table(tallies: Mapping[str, AreaTally]) -> str:
    """Body composition: a row for each variant."""
    lines = [
        "| variant (simulated) | scans | measured | L3 right, of measured | L3 off, mm, each | "
        "area error where L3 is right, mean % (largest): muscle | subcutaneous fat | visceral fat "
        "| with a warning | refused, or warned, and why |",
        "|---" * 10 + "|",
    ]
    for name, tally in tallies.items():
        right = sum(abs(off) <= WITHIN_MM for off in tally.off_mm)
        cells = [
            name,
            str(tally.scans),
            _of(len(tally.off_mm), tally.scans),
            _of(right, len(tally.off_mm)),
            ", ".join(f"{off:+.0f}" for off in tally.off_mm) or "-",
            *[_errors(tally.areas[tissue]) for tissue in TISSUES],
            str(tally.partial),
            _counts(tally.reasons) or "none",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _errors(areas: list[tuple[float, float]]) -> str:
    if not areas:
        return "-"
    percent = [100 * (found - true) / true for true, found in areas]
    most = percent[int(np.abs(percent).argmax())]
    return f"{np.mean(percent):+.1f} ({most:+.1f})"


def _of(hits: int, count: int) -> str:
    return f"{hits} of {count}" if count else "none"


def _counts(counter: Mapping[str, int]) -> str:
    return "; ".join(f"{words}: {count}" for words, count in sorted(counter.items()))


def _plain(reason: str) -> Iterable[str]:
    """The parts of a reason without names and numbers, so that they can be counted."""
    for part in reason.removeprefix("not measured: ").split("; "):
        words = _short(_NAME.sub("", part.removeprefix("not measured: ")))
        if words:
            yield words


def _short(words: str) -> str:
    return re.sub(r"\d+(?:\.\d+)?(?= ?(?:%|mm))", "n", words)
