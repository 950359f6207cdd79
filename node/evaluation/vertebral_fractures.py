"""`python -m node.evaluation.vertebral_fractures`: the vertebral fracture package, measured.

Simulated trunks of test seeds, with and without fractures of exactly known heights, and, where
`../shared/data` is beside the checkout, real scans: one with another model's heights (silver), all
with spines that look normal. All go to disk as DICOM and through the product's path.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.phantoms.fractures import SpineOptions, draw_spine
from models.phantoms.spine_truth import BodyTruth
from models.phantoms.tissue import Tissue
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from models.vertebral_fractures import vocabulary as say
from node.domain.finding import CodedConcept, Finding, Findings
from node.evaluation.bland_altman_plot import draw_bland_altman
from node.evaluation.filing import CtArray, file_series
from node.evaluation.nifti import read_nifti
from node.evaluation.pictures import save_pictures
from node.evaluation.product import Look, Product, open_product
from node.evaluation.statistics import bland_altman
from node.evaluation.table import Row, markdown, mean_row, share_row, write_into_card

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "vertebral_fractures"
FIRST_TEST_SEED = 1_000_000
#: Slice distances of the simulated series, in turn, mm.
SLICES_MM = (1.5, 2.5, 3.0, 5.0)
#: Grades of the fractures of each simulated spine, in turn; () for spines without any.
GRADES: tuple[tuple[int, ...], ...] = ((2,), (), (3,), (), (2, 1), ())
#: Bodies that may be fractured.
AMONG = (
    Tissue.L4, Tissue.L3, Tissue.L2, Tissue.L1, Tissue.T12, Tissue.T11, Tissue.T10, Tissue.T9,
)  # fmt: skip
REACH_MM = (-115.0, 235.0)
#: A finding belongs to the true body within this distance of its middle, mm.
WITHIN_MM = 12.0
SIMULATED, SILVER = "simulated", "abdomen_ct_totalseg (silver)"
PLACES = ("anterior", "middle", "posterior")
HEIGHT_MM, HU_LIMIT = 2.0, 15.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A true body and what was said of it."""

    truth: BodyTruth
    finding: Finding | None
    slice_mm: float


@dataclass(slots=True)
class Tally:
    """What the simulated studies gave."""

    pairs: list[Pair] = field(default_factory=list)
    scans: int = 0
    false_alerts: int = 0
    false_marks: list[float] = field(default_factory=list)
    certainties: list[tuple[float, bool]] = field(default_factory=list)
    named: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def heights_of(finding: Finding) -> tuple[float, ...]:
    """Anterior, middle, posterior, mm."""
    return tuple(m.value for m in finding.measurements if m.name == say.HEIGHT)


def value_of(finding: Finding, name: CodedConcept) -> float:
    """A measurement of a finding."""
    return next(m.value for m in finding.measurements if m.name == name)


def middle_of(findings: Findings, finding: Finding, look: Look) -> np.ndarray:
    """Mean of the six height points, LPS mm."""
    assert look.volume is not None
    spacing = look.volume.spacing_mm
    origin = look.volume.affine[:3, 3]
    points = [
        [
            origin[0] + (contour.points[0, 0] - 0.5) * spacing[2],
            origin[1] + (contour.points[0, 1] - 0.5) * spacing[1],
            contour.plane.position_mm[2],
        ]
        for contour in finding.contours
        if contour.is_point
    ]
    return np.asarray(np.mean(points, axis=0))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where things are, and the loaded product."""

    product: Product
    out: Path

    def look(self, array: CtArray) -> Look:
        """An array as files, through the product's path."""
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
            return self.product.look(file_series(array, Path(folder)))

    def simulated(self, count: int, end: float) -> Iterator[Row]:
        """Trunks with spines in detail, of all slice distances."""
        tally = Tally()
        for number in range(count):
            if time.monotonic() > end:
                break
            seed = FIRST_TEST_SEED + 700_000 + number
            spine = draw_spine(seed, grades=GRADES[number % len(GRADES)], among=AMONG)
            phantom = simulate_trunk(seed, options_of(number, spine))
            look = self.look(array_of(phantom))
            add(tally, phantom, look)
            _say(f"phantom {seed}, {phantom.options.slice_mm:g} mm: {told(look)}")
            if number < 6:
                save_pictures(look.findings, self.out, f"phantom-{seed}")
        yield from rows_of(tally)
        self._plot(tally)

    def _plot(self, tally: Tally) -> None:
        both = [
            (height, true)
            for pair in tally.pairs
            if pair.finding is not None
            for height, true in zip(heights_of(pair.finding), pair.truth.heights_mm, strict=True)
        ]
        if len(both) > 2:
            measured, true = ([float(v) for v in column] for column in zip(*both, strict=True))
            self.out.mkdir(parents=True, exist_ok=True)
            draw_bland_altman(
                self.out / "heights.png",
                "Heights of simulated vertebral bodies, mm",
                true,
                measured,
            )

    def silver(self, folder: Path) -> Iterator[Row]:
        """The whole 3 mm scan against another model's heights and attenuation, L1 to L5."""
        voxels, affine = read_nifti(folder / "example_ct.nii.gz")
        look = self.look(CtArray(name="whole", voxels=voxels, affine=affine))
        _say(f"{SILVER}: {told(look)}")
        save_pictures(look.findings, self.out, "totalseg")
        path = folder / "spine_report" / "example_ct_report" / "spine_report.json"
        report = json.loads(path.read_text(encoding="utf-8"))["results"]
        errors, trabecular, whole = [], [], []
        for level in ("L1", "L2", "L3", "L4", "L5"):
            finding = named(look.findings, level)
            if finding is None:
                yield Row(metric=f"{level}", data=SILVER, value="not measured", interval="", n=0)
                continue
            theirs = [float(report[f"vertebrae_{level}_height_{place}_mm"]) for place in PLACES]
            ours = heights_of(finding)
            errors += [a - b for a, b in zip(ours, theirs, strict=True)]
            hu = value_of(finding, say.ATTENUATION)
            trabecular.append(hu - float(report[f"vertebrae_{level}_intensity_median"]))
            whole.append(hu - float(report[f"vertebrae_{level}_intensity"]))
            yield Row(
                metric=f"{level}: heights a, m, p (theirs), HU (their median, mean)",
                data=SILVER,
                value=", ".join(f"{a:.1f} ({b:g})" for a, b in zip(ours, theirs, strict=True))
                + f", {hu:.0f} ({report[f'vertebrae_{level}_intensity_median']:g}, "
                f"{report[f'vertebrae_{level}_intensity']:g})",
                interval="",
                n=1,
            )
        yield share_row(
            f"heights within {HEIGHT_MM:g} mm", SILVER,
            sum(abs(e) <= HEIGHT_MM for e in errors), len(errors),
        )  # fmt: skip
        yield mean_row("height, mean difference mm", SILVER, errors, "{:+.2f}")
        yield mean_row(
            "height, mean absolute difference mm", SILVER, [abs(e) for e in errors], "{:.2f}"
        )
        for name, values in (("median", trabecular), ("mean", whole)):
            yield share_row(
                f"attenuation within {HU_LIMIT:g} HU of their {name}", SILVER,
                sum(abs(v) <= HU_LIMIT for v in values), len(values),
            )  # fmt: skip
        yield from _alarm_rows(look, SILVER)

    def by_eye(self, folder: Path, name: str) -> Iterator[Row]:
        """A real series whose spine looks normal."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        look = self.product.look(paths)
        _say(f"{name}: {told(look)}")
        save_pictures(look.findings, self.out, name.replace(" ", "-"))
        yield from _alarm_rows(look, name)


def _alarm_rows(look: Look, data: str) -> Iterator[Row]:
    kinds = [f.finding for f in look.findings.findings]
    yield Row(
        metric="fractures reported, possible ones, bodies measured",
        data=data,
        value=f"{kinds.count(say.FRACTURE)}, {kinds.count(say.DEFORMITY)}, {len(kinds)}",
        interval="",
        n=1,
    )
    yield Row(metric="product says", data=data, value=told(look), interval="", n=1)


def named(findings: Findings, level: str) -> Finding | None:
    """The finding of a level."""
    wanted = f"Vertebra {level}"
    return next((f for f in findings.findings if f.tracking_identifier == wanted), None)


def options_of(number: int, spine: SpineOptions) -> TrunkOptions:
    """How the simulated trunk is scanned."""
    return TrunkOptions(
        matrix=320,
        slice_mm=SLICES_MM[number % len(SLICES_MM)],
        reach_mm=REACH_MM,
        working_mm=(1.5, 1.6),
        spine=spine,
    )


def array_of(phantom: Phantom) -> CtArray:
    """A phantom as a series to be filed."""
    return CtArray(
        name=f"phantom {phantom.seed}",
        voxels=np.asarray(phantom.volume.voxels, np.int16),
        affine=phantom.volume.affine,
        padding=phantom.volume.padding,
    )


def add(tally: Tally, phantom: Phantom, look: Look) -> None:
    """One simulated study into the tally."""
    tally.scans += 1
    tally.seconds.append(look.seconds)
    findings = look.findings
    if findings.reason:
        tally.told.append(findings.reason)
    where = {
        id(f): middle_of(findings, f, look) for f in findings.findings
    }  # fmt: skip
    taken: set[int] = set()
    low = float(phantom.volume.planes[0].position_mm[2])
    high = float(phantom.volume.planes[-1].position_mm[2])
    for truth in phantom.truth.bodies:
        ends = [point[2] for pair in truth.points_mm for point in pair]
        if min(ends) < low + 3 or max(ends) > high - 3:
            continue
        near = sorted(
            (f for f in findings.findings if id(f) not in taken),
            key=lambda f: float(np.linalg.norm(where[id(f)] - np.array(truth.centre_mm))),
        )
        found = near[0] if near else None
        if found is not None and (
            np.linalg.norm(where[id(found)] - np.array(truth.centre_mm)) > WITHIN_MM
        ):
            found = None
        if found is not None:
            taken.add(id(found))
            level = found.tracking_identifier.removeprefix("Vertebra ")
            if level[:1] in "LT" and level[1:].isdecimal():
                tally.named.append(level == truth.body.name)
            tally.certainties.append((value_of(found, say.CERTAINTY) / 100, truth.grade >= 2))
        tally.pairs.append(Pair(truth, found, phantom.options.slice_mm))
    own = [p for p in tally.pairs[-len(phantom.truth.bodies) :]]
    false = [
        f
        for f in findings.findings
        if f.finding == say.FRACTURE and not any(p.finding is f and p.truth.grade >= 1 for p in own)
    ]
    tally.false_marks.append(float(len(false)))
    tally.false_alerts += bool(false)


def rows_of(tally: Tally) -> Iterator[Row]:
    """The table of the simulated studies."""
    seen = [p for p in tally.pairs if p.finding is not None]
    yield share_row("bodies in view that were measured", SIMULATED, len(seen), len(tally.pairs))
    for least in (2, 3):
        asked = [p for p in tally.pairs if p.truth.grade >= least]
        hits = sum(p.finding is not None and p.finding.finding == say.FRACTURE for p in asked)
        yield share_row(
            f"fractures of grade {least} or more that call", SIMULATED, hits, len(asked)
        )
    asked = [p for p in tally.pairs if p.truth.grade >= 2]
    marked = sum(
        p.finding is not None and p.finding.finding in (say.FRACTURE, say.DEFORMITY) for p in asked
    )
    yield share_row("of them called or possible", SIMULATED, marked, len(asked))
    mild = [p for p in tally.pairs if p.truth.grade == 1]
    marked = sum(p.finding is not None and p.finding.finding != say.MEASURED for p in mild)
    yield share_row("losses of grade 1 called or possible", SIMULATED, marked, len(mild))
    yield mean_row("false fractures a scan", SIMULATED, tally.false_marks, "{:.2f}")
    sound = [p for p in seen if p.truth.grade == 0]
    doubts = sum(p.finding is not None and p.finding.finding == say.DEFORMITY for p in sound)
    yield share_row("sound bodies called possible", SIMULATED, doubts, len(sound))
    yield share_row("level right, of those stated", SIMULATED, sum(tally.named), len(tally.named))
    yield share_row("level stated, of bodies measured", SIMULATED, len(tally.named), len(seen))
    yield from _height_rows(seen)
    for low, high in ((0.0, 0.05), (0.05, 0.2), (0.2, 0.6), (0.6, 0.9), (0.9, 1.001)):
        own = [right for certainty, right in tally.certainties if low <= certainty < high]
        name = f"truly grade 2 or more, of certainty {low:.2f} to {min(high, 1.0):.2f}"
        yield share_row(name, SIMULATED, sum(own), len(own))
    yield mean_row("seconds a series, files to findings", SIMULATED, tally.seconds, "{:.1f}")
    for reason in sorted(set(tally.told)):
        yield Row(
            metric="not measured as a whole", data=SIMULATED, value=reason, interval="",
            n=tally.told.count(reason),
        )  # fmt: skip


def _height_rows(seen: Sequence[Pair]) -> Iterator[Row]:
    groups = [("", seen)]
    groups += [(f", slices {mm:g} mm", [p for p in seen if p.slice_mm == mm]) for mm in SLICES_MM]
    for name, own in groups:
        errors = [
            a - b
            for p in own
            if p.finding is not None
            for a, b in zip(heights_of(p.finding), p.truth.heights_mm, strict=True)
        ]
        within = sum(abs(e) <= HEIGHT_MM for e in errors)
        yield share_row(f"heights within {HEIGHT_MM:g} mm{name}", SIMULATED, within, len(errors))
        yield mean_row(f"height, mean error mm{name}", SIMULATED, errors, "{:+.2f}")
    for place, title in enumerate(PLACES):
        true = [p.truth.heights_mm[place] for p in seen]
        ours = [heights_of(p.finding)[place] for p in seen if p.finding is not None]
        agreed = bland_altman(true, ours)
        if agreed is not None and agreed.lower is not None and agreed.upper is not None:
            yield Row(
                metric=f"{title} height, bias (limits of agreement) mm",
                data=SIMULATED,
                value=f"{agreed.bias.value:+.2f} ({agreed.lower.value:+.2f} to "
                f"{agreed.upper.value:+.2f})",
                interval=f"{agreed.bias.low:+.2f} to {agreed.bias.high:+.2f}",
                n=agreed.bias.n,
            )


def told(look: Look) -> str:
    """What the product says, in a line."""
    findings = look.findings
    head = f"headers: {look.verdict}; pixels: " if look.verdict else ""
    if not findings.findings:
        return f"{head}{findings.status.value}: {findings.reason}"
    marked = [
        f"{f.tracking_identifier.removeprefix('Vertebra ')} "
        f"{next(e.value for e in f.evaluations if e.name == say.GENANT)}"
        for f in findings.findings
        if f.finding != say.MEASURED
    ]
    names = [f.tracking_identifier.removeprefix("Vertebra ") for f in findings.findings]
    said = "; ".join(marked) or "no loss of height"
    reason = f" ({findings.reason})" if findings.reason else ""
    return f"{head}{names[0]} to {names[-1]}, {len(names)} bodies: {said}{reason}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m node.evaluation.vertebral_fractures")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("evaluate-out"))
    parser.add_argument("--phantoms", type=int, default=24, help="simulated trunks")
    parser.add_argument("--minutes", type=float, help="begin no further case after so long")
    parser.add_argument("--no-real", action="store_true", help="leave the real images out")
    parser.add_argument("--write-card", action="store_true")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """Measure everything that is at hand."""
    run = Evaluation(open_product(PACKAGE), options.out / "vertebral_fractures")
    end = float("inf") if options.minutes is None else time.monotonic() + 60 * options.minutes
    rows: list[Row] = []
    data = options.shared / "data"
    if options.no_real:
        _say("real images were left out, as asked")
    elif (data / "abdomen_ct_totalseg").is_dir():
        rows += run.silver(data / "abdomen_ct_totalseg")
        rows += run.by_eye(data / "abdomen_ct_crlm_1004", "abdomen_ct_crlm_1004")
        for block in ("lower", "upper"):
            rows += run.by_eye(data / "chest_ct_lidc" / block, f"chest_ct_lidc {block}")
    else:
        _say(f"no real images: {data} is not there")
    if options.phantoms:
        rows += run.simulated(options.phantoms, end)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write it into the card when asked."""
    options = _options(arguments)
    rows = evaluate(options)
    text = markdown(rows)
    _say(text)
    if options.write_card:
        write_into_card(PACKAGE / "CARD.md", text)
        plot = options.out / "vertebral_fractures" / "heights.png"
        if plot.is_file():
            (PACKAGE / "heights.png").write_bytes(plot.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
