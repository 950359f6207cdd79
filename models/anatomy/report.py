"""From an anatomy to `Findings`: one finding and one segment for each structure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anatomy import words
from models.anatomy.on_source import on_source
from models.anatomy.pictures import pictures
from models.anatomy.pitch import pitch_doubt
from models.anatomy.unseen import not_seen
from models.anatomy.upright import mirror_doubt
from models.anatomy.view import view_of
from models.grid import Grid
from models.outline import outer_polygon
from models.trunk.anchors import counted_from
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy
from node.domain.finding import (
    Contour,
    Evaluation,
    Finding,
    Findings,
    Measurement,
    Segment,
    Status,
    derived_uid,
)
from node.domain.label_map import LabelMap, LabelMask


def findings_of(
    request: AnalysisRequest, grid: Grid, anatomy: Anatomy, seconds: dict[str, float]
) -> Findings:
    """The result; structures that leave no voxel on the source grid are not in it."""
    reported = {v: n for v, n in anatomy.names.items() if n not in words.NOT_REPORTED}
    canonical = on_source(anatomy, grid, tuple(reported))
    # Interpolated borders may reach beyond what was imaged.
    canonical[~view_of(grid, request.volume.padding).on_images()] = 0
    counts = np.bincount(canonical.ravel(), minlength=len(reported) + 1)
    there = [k for k in range(1, len(reported) + 1) if counts[k]]
    renumbered = np.zeros(len(reported) + 1, np.uint8)
    renumbered[there] = np.arange(1, len(there) + 1)
    canonical = renumbered[canonical]
    names = [list(reported.items())[k - 1] for k in there]
    shared = LabelMap(_in_source_order(canonical, grid))
    pairs = [
        _structure(request, shared, (number, value, name, name in anatomy.cut), int(counts[old]))
        for number, ((value, name), old) in enumerate(zip(names, there, strict=True), start=1)
    ]
    unseen = not_seen(anatomy, {name for _, name in names})
    planes = request.volume.planes
    in_order = tuple(planes[grid.source_slice(k)] for k in range(grid.shape[0]))
    named = {
        number: (words.label(name, cut=name in anatomy.cut), words.colour(name, value))
        for number, (value, name) in enumerate(names, start=1)
    }
    doubt = "; ".join(filter(None, (mirror_doubt(anatomy), pitch_doubt(anatomy))))
    usual = Status.FINDINGS if pairs else Status.NO_FINDINGS
    return Findings(
        model=request.model,
        status=Status.PARTIAL if doubt else usual,
        reason=doubt,
        findings=tuple(finding for finding, _ in pairs),
        segments=tuple(segment for _, segment in pairs),
        segmented_planes=planes if pairs else (),
        exam_evaluations=_evaluations(anatomy, unseen),
        key_images=pictures(grid, in_order, canonical, named, anatomy),
        limits=_limits(anatomy, unseen),
        parameters=(("voxels of the labels", "2 mm"), ("voxels of the network", "4 mm")),
        seconds=seconds,
    )


def _in_source_order(canonical: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    turned = canonical[tuple(slice(None, None, -1 if back else 1) for back in grid.flipped)]
    return np.ascontiguousarray(turned.transpose(np.argsort(grid.order)))


def _structure(
    request: AnalysisRequest, shared: LabelMap, item: tuple[int, int, str, bool], voxels: int
) -> tuple[Finding, Segment]:
    number, value, name, cut = item
    volume = request.volume
    identifier = words.label(name, cut=cut)
    uid = derived_uid("tracking", volume.study_uid, volume.series_uid, request.model.name, name)
    areas = np.array(
        [(plane == number).sum() if there else 0
         for plane, there in zip(shared.values, shared.planes[:, number], strict=True)]
    )  # fmt: skip
    plane = int(areas.argmax())
    points = outer_polygon(np.asarray(shared.values[plane] == number))
    ml = voxels * volume.voxel_ml
    finding = Finding(
        tracking_identifier=identifier,
        tracking_uid=uid,
        finding=words.code(name),
        category=words.CATEGORY,
        site=words.code(name),
        laterality=words.laterality(name),
        contours=(Contour(plane=volume.planes[plane], points=points),),
        measurements=(
            Measurement(
                name=words.VOLUME_IN_VIEW if cut else words.VOLUME,
                value=ml,
                unit=words.CM3,
                label=f"{words.label(name)} {'volume in view' if cut else 'volume'}",
                decimals=0 if ml >= 100 else 1,
            ),
        ),
        segment_number=number,
    )
    segment = Segment(
        number=number,
        label=identifier,
        category=words.CATEGORY,
        property_type=words.code(name),
        mask=LabelMask(shared, number),
        colour=words.colour(name, value),
        tracking_identifier=identifier,
        tracking_uid=uid,
    )
    return finding, segment


def _evaluations(anatomy: Anatomy, unseen: str) -> tuple[Evaluation, ...]:
    found = [Evaluation(words.NOT_SEEN, unseen)] if unseen else []
    if anatomy.anchors:
        return (*found, Evaluation(words.LEVEL_ANCHOR, counted_from(anatomy.anchors)))
    return (*found, *(Evaluation(words.LEVEL_DOUBT, doubt) for doubt in anatomy.doubts))


def _limits(anatomy: Anatomy, unseen: str) -> tuple[str, ...]:
    found = [*words.LIMITS, words.UNSEEN] if unseen else list(words.LIMITS)
    if anatomy.vertebrae and not anatomy.anchors:
        found.append("The levels of the vertebrae could not be fixed, so they are only numbered.")
    elif not all(one.level for one in anatomy.vertebrae):
        found.append(words.PARTLY_COUNTED)
    if set(anatomy.cut) - words.NOT_REPORTED:
        found.append(words.CUT)
    return tuple(found)
