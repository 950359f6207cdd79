"""Body composition on one CT series: levels, the slice through mid-L3, tissues, volumes."""

from __future__ import annotations

import numpy as np

from models.body_composition.block import measure_block, stretch
from models.body_composition.compartments import NETWORK as REGIONS
from models.body_composition.compartments import Labels, compartments
from models.body_composition.field_of_view import cut_fraction, imaged
from models.body_composition.levels import NETWORK as LEVELS
from models.body_composition.levels import LevelMap, find_levels
from models.body_composition.naming import MidL3, locate_l3
from models.body_composition.plausibility import refuse_implausible
from models.body_composition.report import Measured, findings_of
from models.body_composition.sarcopenia import muscle_index
from models.body_composition.tissues import (
    RULES,
    Tissue,
    mean_attenuation,
    metal_area,
    tissue_masks,
    trunk_of,
)
from models.grid import Grid, Mask, canonical
from models.refusal import Refusal
from models.stages import Stages, require
from node.domain.analysis import AnalysisRequest
from node.domain.finding import Findings


def analyse(request: AnalysisRequest) -> Findings:
    """Measure one CT series, or say why it must not be measured.

    Returns:
        FINDINGS with one finding per tissue on the mid-L3 slice; PARTIAL where metal spoils the
        attenuation; NOT_ELIGIBLE with the reason when the pixels contradict the headers, L3 is
        not in view or cannot be named with certainty, or the trunk is cut by the field of view.

    Raises:
        ModelError: a network is missing or the volume is not in HU.
    """
    return _Analysis(request).run()


class _Analysis:
    """One series under way."""

    def __init__(self, request: AnalysisRequest) -> None:
        require(request, REGIONS, LEVELS)
        self.request = request
        self.grid: Grid = canonical(request.volume)
        self.stage = Stages(request)

    def run(self) -> Findings:
        with self.stage("check pixels"):
            refusal = refuse_implausible(self.grid)
        if refusal is not None:
            return self.stage.refused(refusal.reason)
        with self.stage("find levels"):
            levels = find_levels(
                self.grid, self.request.networks[LEVELS], self.request.thresholds["body_ml"]
            )
            l3 = locate_l3(levels, self.grid, self.request.thresholds)
        if isinstance(l3, Refusal):
            return self.stage.refused(l3.reason)
        with self.stage("measure L3"):
            labels = next(compartments(self.grid, self.request.networks[REGIONS], [l3.index]))
            cut = self._cut(labels, l3)
        limit = self.request.thresholds["outline_cut_fraction"]
        if cut > limit:
            return self.stage.refused(
                f"the field of view cuts {100 * cut:.1f} % of the outline of the trunk at L3 "
                f"(at most {100 * limit:g} % is accepted)"
            )
        return self._measured(levels, l3, labels, cut)

    def _measured(self, levels: LevelMap, l3: MidL3, labels: Labels, cut: float) -> Findings:
        grid = self.grid
        hu = grid.hu[l3.index]
        masks = tissue_masks(labels, hu, grid.spacing_mm[1:])
        if not masks[Tissue.MUSCLE].any():
            return self.stage.refused("no muscle was found on the L3 slice")
        areas = {tissue: float(masks[tissue].sum()) * grid.pixel_cm2 for tissue in RULES}
        metal = metal_area(labels, hu, grid.pixel_cm2) > self.request.thresholds["metal_cm2"]
        found = stretch(levels, grid.shape[0])
        block = None
        if found is not None:
            with self.stage("measure volumes"):
                block = measure_block(grid, self.request.networks[REGIONS], found)
        return findings_of(
            self.request,
            Measured(
                grid=grid,
                levels=levels,
                l3=l3,
                masks=masks,
                areas_cm2=areas,
                attenuation_hu=None if metal else mean_attenuation(masks[Tissue.MUSCLE], hu),
                metal=metal,
                cut=cut,
                index=muscle_index(areas[Tissue.MUSCLE], self.request.patient),
                block=block,
                seconds=self.stage.seconds,
            ),
        )

    def _cut(self, labels: Labels, l3: MidL3) -> float:
        plane = self.grid.hu[l3.index]
        field = imaged(plane, self._padding(l3.index))
        return cut_fraction(trunk_of(labels), plane, field, self.grid.spacing_mm[1:])

    def _padding(self, index: int) -> Mask | None:
        """Padding of one slice in canonical order."""
        padding = self.request.volume.padding
        if padding is None:
            return None
        plane = padding[self.grid.source_slice(index)]
        if self.grid.order[1] > self.grid.order[2]:
            plane = plane.T
        rows, columns = self.grid.flipped[1:]
        return np.asarray(plane[:: -1 if rows else 1, :: -1 if columns else 1], np.bool_)
