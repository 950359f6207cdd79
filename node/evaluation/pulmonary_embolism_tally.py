"""What the embolism package found in simulated studies: clots, marks, the table, the pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.phantoms.vessel_tree import Level
from models.pulmonary_embolism.vocabulary import ANGIOGRAPHY_WINDOW, CERTAINTY
from node.domain.finding import Findings, Status
from node.evaluation.detection_plots import (
    Panel,
    draw_gallery,
    draw_operated_froc,
    draw_reliability,
    failure_panel,
)
from node.evaluation.froc import Reading, froc
from node.evaluation.product import Look
from node.evaluation.simulated_clots import SimulatedStudy
from node.evaluation.table import Row, mean_row, share_row

SIMULATED = "simulated"
#: Pictures for the card.
PICTURES = ("froc.png", "reliability.png", "failures.png")
#: A mark lies at a clot when it comes so near, voxels.
NEAR = 1
#: It lies at the clot that it touches most, and shows each other one that it covers so far: a clot
#: that hangs together with another is drawn as one.
COVERED = 0.5
_LARGE = (Level.CENTRAL, Level.LOBAR, Level.SEGMENTAL)
#: Bounds of the certainty for the reliability table, per cent.
BINS = (5, 25, 50, 80, 95, 100.001)
#: Failures of a kind in the gallery.
_SHOWN = 8
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One finding: its certainty, and the true clot that it lies at, or None.

    Attributes:
        also: the other clots that it covers. mm3: its volume. mask: (slice, row, column) on its
            own slices; planes: which those are.
    """

    certainty: float
    clot: int | None
    also: tuple[int, ...]
    mm3: float
    planes: tuple[int, ...]
    mask: Mask

    @property
    def clots(self) -> tuple[int, ...]:
        """All clots that it shows, first the one that it lies at."""
        return () if self.clot is None else (self.clot, *self.also)

    def whole(self, shape: tuple[int, ...]) -> Mask:
        """On the whole grid."""
        out = np.zeros(shape, np.bool_)
        out[list(self.planes)] = self.mask
        return out


@dataclass(slots=True)
class Tally:
    """What the simulated studies gave."""

    readings: list[Reading] = field(default_factory=list)
    #: Certainty, per cent, and whether it lies at a clot, of all marks.
    marks: list[tuple[float, bool]] = field(default_factory=list)
    found: dict[Level, list[bool]] = field(default_factory=lambda: {level: [] for level in Level})
    #: Of the clots from segmental on: does a mark lie at it, or is it only covered?
    found_apart: list[bool] = field(default_factory=list)
    level_right: list[bool] = field(default_factory=list)
    called_without: list[bool] = field(default_factory=list)
    called_with: list[bool] = field(default_factory=list)
    false_alerts: list[float] = field(default_factory=list)
    volume_ratio: list[float] = field(default_factory=list)
    ratio_given: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    native_refused: list[bool] = field(default_factory=list)
    missed: list[Panel] = field(default_factory=list)
    false: list[tuple[float, Panel]] = field(default_factory=list)

    def add(self, study: SimulatedStudy, look: Look, present: float) -> None:
        """One study; `present`: the certainty of an alert, per cent."""
        clots = study.clots
        if look.findings.status is Status.NOT_ELIGIBLE:
            self.refusals.append(look.findings.reason)
            return
        shape = study.array.voxels.shape
        masks = [clot.whole(shape) for clot in clots]
        marks = marks_of(look, masks)
        self.seconds.append(look.seconds)
        self.marks += [(mark.certainty, mark.clot is not None) for mark in marks]
        large = [k for k, clot in enumerate(clots) if clot.level in _LARGE]
        alarms = [mark for mark in marks if mark.certainty >= present]
        for k, clot in enumerate(clots):
            self.found[clot.level].append(any(k in mark.clots for mark in alarms))
            if k in large:
                self.found_apart.append(any(mark.clot == k for mark in alarms))
        self.readings.append(
            Reading(
                patient=study.array.name,
                lesions=len(large),
                marks=tuple(
                    (mark.certainty, None if clot is None else large.index(clot))
                    for mark in marks
                    for clot in mark.clots or (None,)
                    if clot is None or clot in large
                ),
            )
        )
        self.false_alerts.append(float(sum(mark.clot is None for mark in alarms)))
        (self.called_with if large else self.called_without).append(bool(alarms))
        self.ratio_given.append("RV-LV-RATIO" in _names(look.findings))
        for finding, mark in zip(look.findings.findings, marks, strict=True):
            if mark.clot is not None and mark.certainty >= present:
                said = [e.value for e in finding.evaluations]
                self.level_right.append(clots[mark.clot].level.value in said)
        for k in large:
            if any(mark.clot == k for mark in alarms):
                at = [mark for mark in marks if mark.clot == k]
                shown = {k}.union(*(mark.also for mark in at))
                true = sum(clots[other].mm3 for other in shown)
                self.volume_ratio.append(sum(mark.mm3 for mark in at) / max(1.0, true))
        self._show(study, marks, present)

    def rows(self, count: int) -> Iterator[Row]:
        """The table; `count`: studies that were looked at."""
        yield share_row("studies analysed (not refused)", SIMULATED, len(self.readings), count)
        hits = [hit for level in _LARGE for hit in self.found[level]]
        yield share_row("clots found, segmental and larger", SIMULATED, sum(hits), len(hits))
        yield share_row(
            "the same, each mark counting for one clot", SIMULATED, sum(self.found_apart),
            len(self.found_apart),
        )  # fmt: skip
        for level in Level:
            found = self.found[level]
            yield share_row(f"clots found, {level.value}", SIMULATED, sum(found), len(found))
        yield mean_row("false alerts a study (marks)", SIMULATED, self.false_alerts, "{:.2f}")
        without, given = self.called_without, self.called_with
        yield share_row(
            "studies without a clot that call somebody", SIMULATED, sum(without), len(without)
        )
        yield share_row("studies with a clot that call somebody", SIMULATED, sum(given), len(given))
        curve = froc(self.readings)
        if curve is not None:
            for at in curve.at[:4]:
                interval = (
                    f"{at.sensitivity.low:.3f} to {at.sensitivity.high:.3f}"
                    if at.sensitivity.low is not None and at.sensitivity.high is not None
                    else ""
                )
                yield Row(
                    metric=f"FROC: sensitivity at {at.rate:g} false marks a study"
                    + ("" if at.reached else " (never so many)"),
                    data=SIMULATED,
                    value=f"{at.sensitivity.value:.3f}",
                    interval=interval,
                    n=curve.lesions,
                )
        for low, high in pairwise(BINS):
            inside = [is_true for certainty, is_true in self.marks if low <= certainty < high]
            right = sum(inside)
            name = f"reliability: true of marks with certainty {low:g} to {min(high, 100):g} %"
            yield share_row(name, SIMULATED, right, len(inside))
        yield share_row(
            "level named right, of clots found", SIMULATED, sum(self.level_right),
            len(self.level_right),
        )  # fmt: skip
        yield mean_row(
            "volume found / true, segmental and larger", SIMULATED, self.volume_ratio, "{:.2f}"
        )
        yield share_row(
            "ventricles compared", SIMULATED, sum(self.ratio_given), len(self.ratio_given)
        )
        native = self.native_refused
        yield share_row(
            "without contrast medium: refused with the measured HU", SIMULATED, sum(native),
            len(native),
        )  # fmt: skip
        yield mean_row("seconds a study, files to findings", SIMULATED, self.seconds, "{:.1f}")
        for reason in sorted(set(self.refusals)):
            n = self.refusals.count(reason)
            yield Row(metric="refused", data=SIMULATED, value=reason, n=n)

    def _show(self, study: SimulatedStudy, marks: Sequence[Mark], present: float) -> None:
        """Pictures of what was missed, and of the surest false marks."""
        voxels, name = (
            study.array.voxels,
            study.array.name.removeprefix("simulated chest ").split()[0],
        )
        for k, clot in enumerate(study.clots):
            if clot.level not in _LARGE or any(
                k in mark.clots and mark.certainty >= present for mark in marks
            ):
                continue
            mask = clot.whole(voxels.shape)
            marked = [mark.whole(voxels.shape) for mark in marks if mark.clot == k]
            best = max((mark.certainty for mark in marks if mark.clot == k), default=None)
            said = "no mark" if best is None else f"certainty {best:.0f} %"
            words = f"missed: {clot.level.value}, {clot.form}\n{said}; {name}"
            shown = (mask, np.logical_or.reduce(marked) if marked else None)
            self.missed.append(
                failure_panel(words, voxels, _middle(mask), shown, ANGIOGRAPHY_WINDOW)
            )
        for mark in marks:
            if mark.clot is None:
                mask = mark.whole(voxels.shape)
                kind = "false alert" if mark.certainty >= present else "false, no alert"
                words = f"{kind}: certainty {mark.certainty:.0f} %\n{name}"
                panel = failure_panel(
                    words, voxels, _middle(mask), (None, mask), ANGIOGRAPHY_WINDOW
                )
                self.false.append((mark.certainty, panel))

    def draw(self, out: Path) -> None:
        """`PICTURES` into a folder, as far as there is something to show."""
        out.mkdir(parents=True, exist_ok=True)
        title = "Pulmonary embolism, simulated studies"
        curve = froc(self.readings)
        if curve is not None and curve.at:
            hits = [hit for level in _LARGE for hit in self.found[level]]
            point = float(np.mean(self.false_alerts)), float(np.mean(hits))
            draw_operated_froc(out / PICTURES[0], title, [("segmental and larger", curve)], point)
        if self.marks:
            marks = [(certainty / 100, is_true) for certainty, is_true in self.marks]
            draw_reliability(out / PICTURES[1], title, marks)
        surest = [panel for _, panel in sorted(self.false, key=lambda one: -one[0])]
        panels = [*self.missed[:_SHOWN], *surest[:_SHOWN]]
        if panels:
            draw_gallery(out / PICTURES[2], f"{title}: missed and false", panels)


def _middle(mask: Mask) -> tuple[int, int, int]:
    """The middle of the largest slice of a mask."""
    plane = int(mask.sum(axis=(1, 2)).argmax())
    row, column = np.argwhere(mask[plane]).mean(axis=0)
    return plane, round(float(row)), round(float(column))


def marks_of(look: Look, truth: Sequence[Mask]) -> list[Mark]:
    """Findings against the true clots on the grid of the volume."""
    findings = look.findings
    if look.volume is None or not findings.findings:
        return []
    row = {plane.sop_instance_uid: k for k, plane in enumerate(look.volume.planes)}
    where = [row[plane.sop_instance_uid] for plane in findings.segmented_planes]
    marks = []
    for finding in findings.findings:
        assert finding.segment_number is not None
        mask = findings.segments[finding.segment_number - 1].mask
        planes, parts = [], []
        touched: dict[int, int] = {}
        inside: dict[int, int] = {}
        for index, plane in enumerate(where):
            part = np.asarray(mask[index], np.bool_)
            if not part.any():
                continue
            planes.append(plane)
            parts.append(part)
            wide = _grown(part)
            for number, clot in enumerate(truth):
                inside[number] = inside.get(number, 0) + int((clot[plane] & wide).sum())
                for near in range(max(0, plane - NEAR), min(len(clot), plane + NEAR + 1)):
                    common = int((clot[near] & wide).sum())
                    if common:
                        touched[number] = touched.get(number, 0) + common
        most = max(touched, key=lambda number: touched[number], default=None)
        marks.append(
            Mark(
                certainty=next(m.value for m in finding.measurements if m.name == CERTAINTY),
                clot=most,
                also=tuple(
                    number
                    for number, count in inside.items()
                    if number != most and count and count >= COVERED * int(truth[number].sum())
                ),
                mm3=sum(int(part.sum()) for part in parts) * look.volume.voxel_ml * 1000.0,
                planes=tuple(planes),
                mask=np.stack(parts),
            )
        )
    return marks


def _grown(mask: Mask) -> Mask:
    grown = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            grown |= np.roll(mask, step, axis)
    return grown


def _names(findings: Findings) -> set[str]:
    return {m.name.value for m in findings.exam_measurements}
