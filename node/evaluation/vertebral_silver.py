"""The vertebral fracture package on a scan whose heights and attenuation another model gave.

Three comparisons, since the two programs do not mean the same by a height: as both print it;
both by the definition of the other program (`vertebral_reference`); and the bodies of the other
program in the planes and at the places where ours are measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Mask, canonical
from models.vertebral_fractures import vocabulary as say
from models.vertebral_fractures.frames import HALF_WIDE_MM
from models.vertebral_fractures.masks import label_bodies
from models.vertebral_fractures.measuring import BANDS, Body, measure_bodies
from models.vertebral_fractures.outlines import NETWORK
from models.vertebral_fractures.spine import find_spine
from node.domain.analysis import AnalysisRequest
from node.domain.finding import Findings
from node.evaluation.nifti import read_nifti
from node.evaluation.product import Look, Product
from node.evaluation.table import Row, mean_row, share_row
from node.evaluation.vertebral_reference import Counted, counted, upright
from node.evaluation.vertebral_tally import HEIGHT_MM, PLACES, heights_of, value_of

SILVER = "abdomen_ct_totalseg (silver)"
LEVELS = ("L1", "L2", "L3", "L4", "L5")
#: Labels of their bodies, from above; T12 is a neighbour only.
_THEIR_LABELS = {"T12": 19, "L1": 20, "L2": 21, "L3": 22, "L4": 23, "L5": 24}
#: Of the attenuation, HU.
HU_LIMIT = 15.0
#: Between two places on the way from endplate to endplate, mm.
_FINE_MM = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Silver:
    """The scan and what was said of it.

    Attributes:
        hu: (slice, row, column); `affine`: to LPS mm. theirs: labels of their bodies.
        report: of the other program, by name.
    """

    hu: NDArray[np.int16]
    affine: NDArray[np.float64]
    theirs: NDArray[np.int16]
    report: Mapping[str, float]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(x, y, z)."""
        x, y, z = (float(np.linalg.norm(self.affine[:3, axis])) for axis in (2, 1, 0))
        return x, y, z

    def heights_of(self, level: str) -> tuple[float, ...]:
        """Anterior, middle, posterior, mm, as they print it."""
        return tuple(float(self.report[f"vertebrae_{level}_height_{place}_mm"]) for place in PLACES)

    def median_of(self, level: str) -> float:
        """HU."""
        return float(self.report[f"vertebrae_{level}_intensity_median"])

    def mean_of(self, level: str) -> float:
        """HU."""
        return float(self.report[f"vertebrae_{level}_intensity"])


def read_silver(folder: Path) -> Silver:
    """From the folder of the data set."""
    hu, affine = read_nifti(folder / "example_ct.nii.gz")
    made = folder / "spine_report"
    theirs, _ = read_nifti(made / "test_result" / "totalseg_vertebrae_pp_refined.nii.gz")
    path = made / "example_ct_report" / "spine_report.json"
    report = json.loads(path.read_text(encoding="utf-8"))["results"]
    return Silver(hu=hu, affine=affine, theirs=theirs, report=report)


def look_within(product: Product, paths: Sequence[Path]) -> tuple[Look, tuple[Body, ...], Mask]:
    """What the product says, and the bodies with their masks as it measured them inside.

    Returns:
        The look, the bodies from below, and their labels on the images as they lie: (slice, row,
        column), 1 + index of the body.
    """
    asked: list[AnalysisRequest] = []

    def analyse(request: AnalysisRequest) -> Findings:
        asked.append(request)
        return product.analyse(request)

    look = replace(product, analyse=analyse).look(paths)
    (request,) = asked
    assert request.anatomy is not None
    grid, anatomy = canonical(request.volume), request.anatomy()
    network = request.networks[NETWORK]
    seen = measure_bodies(grid, find_spine(grid, anatomy, network), network)
    bodies = tuple(one for one in seen if isinstance(one, Body))
    labels = label_bodies(grid, anatomy, bodies)
    index = np.argwhere(labels)
    inverse = np.linalg.inv(request.volume.affine) @ grid.affine
    at = np.rint(index @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    lying = np.zeros(request.volume.voxels.shape, np.uint8)
    lying[tuple(at.T)] = labels[tuple(index.T)]
    return look, bodies, np.asarray(lying)


def rows_of_silver(
    silver: Silver, look: Look, bodies: Sequence[Body], lying: Mask
) -> Iterator[Row]:
    """The three comparisons; `bodies`, `lying`: of `look_within`."""
    yield from _as_printed(silver, look.findings)
    levels = {body.place.level: number for number, body in enumerate(bodies, start=1)}
    ours = {level: lying == levels[level] for level in LEVELS if level in levels}
    assert look.volume is not None
    yield from _by_their_definition(silver, ours, look.volume.affine)
    yield from _in_our_planes(silver, bodies)


def _as_printed(silver: Silver, findings: Findings) -> Iterator[Row]:
    errors: list[float] = []
    trabecular, whole = [], []
    for level in LEVELS:
        wanted = f"Vertebra {level}"
        finding = next((f for f in findings.findings if f.tracking_identifier == wanted), None)
        if finding is None:
            yield Row(metric=f"{level}", data=SILVER, value="not measured", n=0)
            continue
        theirs, ours = silver.heights_of(level), heights_of(finding)
        errors += [a - b for a, b in zip(ours, theirs, strict=True)]
        hu = value_of(finding, say.ATTENUATION)
        trabecular.append(hu - silver.median_of(level))
        whole.append(hu - silver.mean_of(level))
        yield Row(
            metric=f"{level}: heights a, m, p (theirs), HU (their median, mean)",
            data=SILVER,
            value=f"{_pairs(ours, theirs)}, {hu:.0f} ({silver.median_of(level):g}, "
            f"{silver.mean_of(level):g})",
        )
    yield from _height_rows("", errors)
    yield _hu_row("attenuation", "median", trabecular)
    yield _hu_row("attenuation", "mean", whole)


def _by_their_definition(
    silver: Silver, ours: Mapping[str, Mask], affine: NDArray[np.float64]
) -> Iterator[Row]:
    """Both counted alike; first the proof that this is how they count."""
    grid = upright(silver.hu, silver.affine)
    theirs = {
        level: np.asarray(upright(silver.theirs == value, silver.affine))
        for level, value in _THEIR_LABELS.items()
    }
    again = counted(grid, theirs, silver.spacing_mm)
    same = [
        abs(a - b) < 0.01
        for level in LEVELS
        for a, b in zip(again[level].heights_mm, silver.heights_of(level), strict=True)
    ]
    name = "their definition as we read it, on their own bodies: heights as they print"
    yield share_row(name, SILVER, sum(same), len(same))
    medians = [abs(again[level].median_hu - silver.median_of(level)) < 0.5 for level in LEVELS]
    name = "their definition as we read it, on their own bodies: median HU as they print"
    yield share_row(name, SILVER, sum(medians), len(medians))
    mine = counted(
        grid,
        {level: np.asarray(upright(mask, affine)) for level, mask in ours.items()},
        silver.spacing_mm,
    )
    title = ", both by their definition"
    for level, one in mine.items():
        yield Row(
            metric=f"{level}: heights a, m, p (theirs), median HU (theirs){title}",
            data=SILVER,
            value=f"{_pairs(one.heights_mm, silver.heights_of(level))}, {one.median_hu:.0f} "
            f"({silver.median_of(level):g})",
        )
    yield from _height_rows(title, _differences(silver, mine))
    name = f"attenuation{title},"
    yield _hu_row(name, "median", [o.median_hu - silver.median_of(k) for k, o in mine.items()])
    yield _hu_row(name, "mean", [o.mean_hu - silver.mean_of(k) for k, o in mine.items()])


def _differences(silver: Silver, mine: Mapping[str, Counted]) -> list[float]:
    return [
        a - b
        for level, one in mine.items()
        for a, b in zip(one.heights_mm, silver.heights_of(level), strict=True)
    ]


def _in_our_planes(silver: Silver, bodies: Sequence[Body]) -> Iterator[Row]:
    """Their masks between the endplates, where our six points of each body are."""
    title = ", their bodies in our planes"
    errors: list[float] = []
    for body in bodies:
        level = body.place.level
        if level not in LEVELS:
            continue
        theirs = heights_between(silver.theirs == _THEIR_LABELS[level], silver.affine, body)
        errors += [a - b for a, b in zip(body.heights_mm, theirs, strict=True)]
        yield Row(
            metric=f"{level}: heights a, m, p (theirs){title}",
            data=SILVER,
            value=_pairs(body.heights_mm, theirs),
        )
    yield from _height_rows(title, errors)


def heights_between(
    mask: NDArray[np.bool_], affine: NDArray[np.float64], body: Body
) -> tuple[float, ...]:
    """Anterior, middle, posterior height of a mask in the frame of a body, mm; nan: not there.

    Args:
        mask: (slice, row, column), `affine` to LPS mm. Its border is where half of the way from
            side to side over which the product looks at an endplate lies inside.
    """
    outline, own = body.outline, body.own
    inverse = np.linalg.inv(affine)
    high = np.arange(-25.0, 25.0 + _FINE_MM / 2, _FINE_MM)
    wide = np.arange(-HALF_WIDE_MM, HALF_WIDE_MM + 0.5, 1.0)
    depth = (outline.columns - outline.front) / (outline.back - outline.front)
    middles = (outline.upper + outline.lower) / 2
    values = mask.astype(np.float32)
    found = []
    for first, last in BANDS:
        heights = []
        for column in np.flatnonzero((depth >= first) & (depth <= last)):
            left, up = np.meshgrid(wide, high + middles[column], indexing="ij")
            points = own.at(left, np.full_like(left, outline.columns[column]), up)
            index = points.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
            share = ndimage.map_coordinates(values, index.T, order=1).reshape(left.shape)
            labels, _ = ndimage.label(share.mean(axis=0) > 0.5)
            there = labels[len(high) // 2]
            if there:
                heights.append(_FINE_MM * float((labels == there).sum()))
        found.append(float(np.mean(heights)) if heights else float("nan"))
    return tuple(found)


def _pairs(ours: Sequence[float], theirs: Sequence[float]) -> str:
    return ", ".join(f"{a:.1f} ({b:.4g})" for a, b in zip(ours, theirs, strict=True))


def _height_rows(title: str, errors: Sequence[float]) -> Iterator[Row]:
    within = sum(abs(e) <= HEIGHT_MM for e in errors)
    yield share_row(f"heights within {HEIGHT_MM:g} mm{title}", SILVER, within, len(errors))
    yield mean_row(f"height, mean difference mm{title}", SILVER, errors, "{:+.2f}")
    sizes = [abs(e) for e in errors]
    yield mean_row(f"height, mean absolute difference mm{title}", SILVER, sizes, "{:.2f}")


def _hu_row(name: str, kind: str, values: Sequence[float]) -> Row:
    within = sum(abs(v) <= HU_LIMIT for v in values)
    return share_row(f"{name} within {HU_LIMIT:g} HU of their {kind}", SILVER, within, len(values))
