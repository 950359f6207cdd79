"""Vertebral fractures on one CT series: heights, grades, density of the bone."""

from __future__ import annotations

from collections.abc import Sequence

from models.grid import Grid, canonical
from models.stages import Stages, require
from models.vertebral_fractures.again import look_again
from models.vertebral_fractures.density import contrast_of, densities_of
from models.vertebral_fractures.ends import is_at_pelvis
from models.vertebral_fractures.genant import Grading, grade_bodies, is_lowest_too_high
from models.vertebral_fractures.masks import label_bodies
from models.vertebral_fractures.measured import Measured
from models.vertebral_fractures.measuring import (
    SACRAL,
    Body,
    Looked,
    Unmeasured,
    among,
    is_whole,
    measure_bodies,
)
from models.vertebral_fractures.outlines import NETWORK
from models.vertebral_fractures.plausibility import (
    LEAST_BODIES,
    refuse_spine,
    refuse_units,
)
from models.vertebral_fractures.report import findings_of
from models.vertebral_fractures.spine import find_spine
from models.vertebral_fractures.stacking import stacked
from models.vertebral_fractures.verdicts import NOT_GRADED, Verdict, verdict_of
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy
from node.domain.errors import ModelError
from node.domain.finding import Findings
from node.domain.imaging import Network

#: How often bodies that seem to have lost height are looked at again.
ROUNDS = 2


def analyse(request: AnalysisRequest) -> Findings:
    """Measure the vertebral bodies of one CT series, or say why it must not be measured.

    Returns:
        FINDINGS where a body has lost height, or may have; NO_FINDINGS where none has; PARTIAL
        where whole bodies in view could not be measured or recognised, or fewer than four could
        (their heights are told, no grade); NOT_ELIGIBLE with the reason where fewer
        than four are in view or the pixels are no adult's spine in HU.

    Raises:
        ModelError: a network or the anatomy is missing, or the volume is not in HU.
    """
    return _Analysis(request).run()


def without_sacrum(looked: Sequence[Looked]) -> list[Looked]:
    """The bodies from below; the lowest is not measured where it may be a part of the sacrum."""
    bodies = [one for one in looked if isinstance(one, Body)]
    if not is_lowest_too_high(bodies):
        return list(looked)
    place = bodies[0].place
    unmeasured = Unmeasured(place=place, reason=SACRAL)
    return [unmeasured if one.place.number == place.number else one for one in looked]


class _Analysis:
    """One series under way."""

    def __init__(self, request: AnalysisRequest) -> None:
        require(request, NETWORK)
        self.request = request
        self.grid: Grid = canonical(request.volume)
        self.stage = Stages(request)

    def run(self) -> Findings:
        """As `analyse`."""
        if self.request.anatomy is None:
            raise ModelError(
                "the anatomy of the series is not handed over; model.yaml must say "
                "'uses: [anatomy]'",
                series_uid=self.request.volume.series_uid,
            )
        with self.stage("check pixels"):
            refusal = refuse_units(self.grid)
        if refusal is not None:
            return self.stage.refused(refusal.reason)
        with self.stage("see anatomy"):
            anatomy = self.request.anatomy()
        network = self.request.networks[NETWORK]
        with self.stage("find vertebrae"):
            spine = find_spine(self.grid, anatomy, network)
        with self.stage("measure heights"):
            looked = without_sacrum(stacked(measure_bodies(self.grid, spine, network)))
            refusal = refuse_spine(looked)
        if refusal is not None:
            return self.stage.refused(refusal.reason)
        with self.stage("look again"):
            looked = self._again(looked, network, anatomy)
            refusal = refuse_spine(looked)
        if refusal is not None:
            return self.stage.refused(refusal.reason)
        with self.stage("grade"):
            bodies = tuple(one for one in looked if isinstance(one, Body))
            gradings = self._graded(looked, anatomy)
            verdicts = tuple(self._verdict(one) for one in gradings) or (NOT_GRADED,) * len(bodies)
        with self.stage("measure attenuation"):
            densities = tuple(densities_of(self.grid, bodies))
            contrast = contrast_of(
                self.grid, anatomy, named=bool(self.request.series.contrast_agent)
            )
        with self.stage("draw bodies"):
            labels = label_bodies(self.grid, anatomy, bodies)
        return findings_of(
            self.request,
            Measured(
                grid=self.grid,
                spine=spine,
                bodies=bodies,
                unmeasured=tuple(one for one in looked if isinstance(one, Unmeasured)),
                gradings=gradings,
                verdicts=verdicts,
                densities=densities,
                contrast=contrast,
                labels=labels,
                seconds=self.stage.seconds,
            ),
        )

    def _again(self, looked: Sequence[Looked], network: Network, anatomy: Anatomy) -> list[Looked]:
        """The bodies, each that seems to have lost height looked at again."""
        done: set[int] = set()
        now = list(looked)
        # What a second look changes is a neighbour of others.
        for _ in range(ROUNDS):
            bodies = [one for one in now if isinstance(one, Body)]
            suspected = {
                body.place.number
                for body, grading in zip(bodies, self._graded(now, anatomy), strict=False)
                if self._verdict(grading).is_abnormal
            } - done
            if not suspected:
                break
            now = without_sacrum(stacked(among(look_again(self.grid, network, now, suspected))))
            done |= suspected
        return now

    def _graded(self, looked: Sequence[Looked], anatomy: Anatomy) -> tuple[Grading, ...]:
        """A grading of each measured body; none where they are too few."""
        bodies = [one for one in looked if isinstance(one, Body)]
        if len(bodies) < LEAST_BODIES:
            return ()
        whole = [one.place.number for one in looked if is_whole(one)]
        at_pelvis = is_at_pelvis(anatomy, looked[0].place.own)
        slice_mm = self.grid.spacing_mm[0]
        return tuple(grade_bodies(bodies, slice_mm, whole, at_pelvis=at_pelvis))

    def _verdict(self, grading: Grading) -> Verdict:
        limits = self.request.thresholds
        return verdict_of(
            grading,
            present=limits["present"],
            possible=limits["possible"],
        )
