"""Lung nodules on one chest CT: lungs, candidates, a closer look, measures, comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.grid import Grid, canonical
from models.lung_nodules.again import look_again
from models.lung_nodules.bulge import find_bulges, look_of
from models.lung_nodules.candidates import NETWORK as DETECTOR
from models.lung_nodules.candidates import find_candidates
from models.lung_nodules.certainty import certainty_of
from models.lung_nodules.contour import NETWORK as CONTOUR
from models.lung_nodules.contour import with_veil
from models.lung_nodules.density import attenuation_of
from models.lung_nodules.edge import sharpened
from models.lung_nodules.place import third_of
from models.lung_nodules.plausibility import is_enhanced, refuse_size, refuse_units, unseen_side
from models.lung_nodules.refining import NETWORK as REFINER
from models.lung_nodules.refining import Look, joined_share, looks_of, with_surroundings
from models.lung_nodules.report import Measured, Nodule, findings_of
from models.lung_nodules.shape import Shape, shape_of
from models.priors import Lesion, compare
from models.refusal import Refusal
from models.stages import Stages, require
from models.thorax.lungs import Lungs, find_lungs
from node.domain.analysis import AnalysisRequest
from node.domain.errors import ModelError
from node.domain.finding import Findings
from node.domain.imaging import Network, Volume

#: Candidates that are looked at closely.
MOST_CANDIDATES = 80
#: Of those that are neither clear nor clearly none, so many are looked at again: it takes half a
#: second for each.
MOST_AGAIN = 12
#: Of the certainty from which a nodule is reported: enough where the earlier scan is expected to
#: show it.
EXPECTED = 0.5
#: A nodule whose surface has no lung beside it over this part has a border that is hardly seen.
UNSEEN = 0.4
#: Two nodules whose masks overlap by more than this part of the smaller one are one.
SAME = 0.3


def analyse(request: AnalysisRequest) -> Findings:
    """Find and measure the nodules of one chest CT, or say why it must not be analysed.

    Returns:
        FINDINGS with one finding for each nodule from the threshold on; NO_FINDINGS where there
        is none; NOT_ELIGIBLE with the reason where the pixels are no lungs in HU.

    Raises:
        ModelError: a network is missing or the volume is not in HU.
    """
    return _Analysis(request).run()


class _Analysis:
    """One series under way."""

    def __init__(self, request: AnalysisRequest) -> None:
        require(request, DETECTOR, REFINER, CONTOUR)
        self.request = request
        self.grid: Grid = canonical(request.volume)
        self.stage = Stages(request)

    def run(self) -> Findings:
        """As `analyse`."""
        with self.stage("check pixels"):
            refusal = refuse_units(self.grid)
        if refusal is not None:
            return self.stage.refused(refusal.reason)
        with self.stage("find lungs"):
            lungs = find_lungs(self.grid)
            if isinstance(lungs, Lungs):
                refusal = refuse_size(lungs)
        if isinstance(lungs, Refusal):
            return self.stage.refused(lungs.reason)
        if refusal is not None:
            return self.stage.refused(refusal.reason)
        return self._found(lungs)

    def _found(self, lungs: Lungs) -> Findings:
        scan = Scan(self.grid, lungs, self.request)
        with self.stage("find candidates"):
            candidates = find_candidates(
                self.grid,
                lungs,
                self.request.networks[DETECTOR],
                self.request.thresholds["candidate_logit"],
            )
        with self.stage("look at candidates"):
            looks = looks_of(
                self.grid, candidates[:MOST_CANDIDATES], self.request.networks[REFINER]
            )
        with self.stage("measure"):
            everything = scan.nodules(looks)
        least = self.request.thresholds["reported_percent"] / 100.0
        sure = [nodule for nodule in everything if nodule.certainty >= least]
        with self.stage("compare sides"):
            nodules = scan.with_possible_masses(sure)
        again = [n.at_first for n in everything if n.at_first is not None]
        set_aside = sum(n.certainty < least <= (n.at_first or 0.0) for n in everything)
        most = int(self.request.thresholds["most_listed"])
        with self.stage("compare"):
            comparison = compare(
                self.request,
                [lesion_of(n) for n in nodules],
                self._look,
                also=[lesion_of(n) for n in everything if n.certainty < least],
            )
        return findings_of(
            self.request,
            Measured(
                grid=self.grid,
                lungs=lungs,
                nodules=nodules[:most],
                unlisted=nodules[most:],
                comparison=comparison,
                set_aside=set_aside,
                overlooked=max(0, len(candidates) - MOST_CANDIDATES),
                unseen=unseen_side(lungs),
                parameters=(
                    ("lungs in view", f"{(lungs.right_ml + lungs.left_ml) / 1000:.2f} l"),
                    ("candidates looked at", str(len(looks))),
                    ("looked at again", str(len(again))),
                    ("likely at first, not when looked at again", str(set_aside)),
                    ("reported from certainty", f"{100 * least:.0f} %"),
                    ("slice distance", f"{self.grid.spacing_mm[0]:.2f} mm"),
                ),
                seconds=self.stage.seconds,
            ),
        )

    def _look(
        self, volume: Volume, places: Sequence[tuple[float, float, float]]
    ) -> Sequence[Lesion]:
        """What lies in an earlier scan, by the same code.

        Raises:
            ModelError: it cannot be looked at: what it does not show would else be called new.
        """
        grid = canonical(volume)
        lungs = find_lungs(grid)
        refusal = refuse_units(grid) or (
            lungs if isinstance(lungs, Refusal) else refuse_size(lungs)
        )
        if refusal is not None or isinstance(lungs, Refusal):
            reason = refusal.reason if refusal is not None else ""
            raise ModelError(f"it cannot be looked at: {reason}", series_uid=volume.series_uid)
        candidates = find_candidates(
            grid,
            lungs,
            self.request.networks[DETECTOR],
            self.request.thresholds["candidate_logit"],
        )
        looks = looks_of(grid, candidates[:MOST_CANDIDATES], self.request.networks[REFINER])
        scan = Scan(grid, lungs, self.request)
        found = scan.with_possible_masses(scan.nodules(looks))
        # Where something is expected, less certainty is enough, but not any vessel.
        least = self.request.thresholds["reported_percent"] / 100.0
        expected = np.array(places, np.float64).reshape(-1, 3)
        return [
            replace(lesion_of(nodule), is_sure=nodule.certainty >= least)
            for nodule in found
            if nodule.certainty >= least
            or (nodule.certainty >= EXPECTED * least and _near(nodule, expected))
        ]


class Scan:
    """Measures the nodules of one series."""

    def __init__(self, grid: Grid, lungs: Lungs, request: AnalysisRequest) -> None:
        self._grid, self._lungs = grid, lungs
        self._thresholds: Mapping[str, float] = request.thresholds
        self._networks: Mapping[str, Network] = request.networks
        self._enhanced = bool(request.series.contrast_agent) or is_enhanced(lungs.volume, lungs)

    def nodules(self, looks: Sequence[Look]) -> list[Nodule]:
        """Every look that is large enough, the surest first; each nodule once.

        The certainty of what is neither clear nor clearly none is that of several looks.
        """
        measured = []
        for look in looks:
            shape = shape_of(self._grid, look)
            if shape is not None and shape.mean_mm >= self._thresholds["smallest_mm"]:
                certainty = certainty_of(look, shape.mean_mm, self._thresholds)
                measured.append((certainty, look, shape))
        found: list[Nodule] = []
        least = self._thresholds["measured_percent"] / 100.0
        told = self._thresholds["reported_percent"] / 100.0
        looked_again = 0
        measured.sort(key=lambda one: (one[1].candidate.is_far, -one[0]))
        for first, look, drawn in measured:
            # What lies far outside of the lung only takes the place of what nobody is told of.
            before = [n for n in found if n.certainty >= told] if look.candidate.is_far else found
            if any(_overlap(drawn, other.shape) > SAME for other in before):
                continue
            certainty, at_first = first, None
            if self._is_open(first) and looked_again < MOST_AGAIN:
                certainty, at_first = self._looked_again(look, drawn.mean_mm), first
                looked_again += 1
            # It takes a second for each, and most are what nobody is told of.
            shape, joined = drawn, 0.0
            if certainty >= least:
                shape, joined = self._well_measured(look, drawn)
            side = self._side(look)
            found.append(
                Nodule(
                    shape=shape,
                    attenuation=attenuation_of(self._grid, shape, enhanced=self._enhanced),
                    certainty=certainty,
                    at_first=at_first,
                    joined=joined if joined >= UNSEEN else 0.0,
                    side=side,
                    third=third_of(self._lungs, look.centre, side),
                )
            )
        return sorted(found, key=lambda nodule: -nodule.certainty)

    def _is_open(self, certainty: float) -> bool:
        low, high = (self._thresholds[f"again_{end}_percent"] / 100.0 for end in ("from", "to"))
        return low <= certainty < high

    def _looked_again(self, look: Look, mean_mm: float) -> float:
        """The certainty from several looks."""
        again = look_again(self._grid, look, self._networks[DETECTOR], self._networks[REFINER])
        return certainty_of(look, mean_mm, self._thresholds, again)

    def _well_measured(self, look: Look, drawn: Shape) -> tuple[Shape, float]:
        """The shape with its edge where the density says it is, and as of `joined_share`."""
        joined = joined_share(self._grid, look)
        best = look
        if joined >= UNSEEN:
            best = with_surroundings(self._grid, look, self._networks[REFINER])
        best = with_veil(self._grid, best, sharpened(self._grid, best), self._networks[CONTOUR])
        return (drawn if best is look else shape_of(self._grid, best) or drawn), joined

    def with_possible_masses(self, nodules: Sequence[Nodule]) -> list[Nodule]:
        """Also bodies of tissue in the place of lung, unless a mass was found there."""
        least = self._thresholds["reported_percent"] / 100.0
        masses = [one for one in nodules if one.is_mass and one.certainty >= least]
        found = list(nodules)
        for bulge in find_bulges(self._lungs):
            shape = shape_of(self._grid, look_of(bulge))
            if shape is None or any(_overlap(shape, one.shape) > SAME for one in masses):
                continue
            found.append(
                Nodule(
                    shape=shape,
                    attenuation=attenuation_of(self._grid, shape, enhanced=self._enhanced),
                    certainty=self._thresholds["possible_mass_percent"] / 100.0,
                    side=bulge.side,
                    is_possible=True,
                )
            )
        return sorted(found, key=lambda nodule: -nodule.certainty)

    def _side(self, look: Look) -> str:
        own = self._lungs.side_at(look.centre)
        if own:
            return own
        at = self._lungs.volume.from_grid(look.centre[None])[0]
        nearest, side = np.inf, ""
        for name, mask in (("right", self._lungs.right), ("left", self._lungs.left)):
            where = np.argwhere(mask)
            if len(where):
                distance = float(((where - at) ** 2).sum(axis=1).min())
                if distance < nearest:
                    nearest, side = distance, name
        return side


def lesion_of(nodule: Nodule) -> Lesion:
    """For the comparison with an earlier scan."""
    return Lesion(
        centre_mm=nodule.shape.centre_mm,
        diameter_mm=nodule.shape.mean_mm,
        volume_mm3=nodule.shape.volume_mm3,
        solid_mm=nodule.attenuation.solid_mm,
    )


def _near(nodule: Nodule, expected: np.ndarray) -> bool:
    if not len(expected):
        return False
    away = np.linalg.norm(expected - np.array(nodule.shape.centre_mm), axis=1).min()
    return bool(away < 10.0 + nodule.shape.mean_mm / 2)


def _overlap(first: Shape, second: Shape) -> float:
    """Shared voxels, of the smaller one's."""
    common = [
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(first.box, second.box, strict=True)
    ]
    if any(part.stop <= part.start for part in common):
        return 0.0
    cuts = [
        shape.mask[
            tuple(
                slice(part.start - own.start, part.stop - own.start)
                for part, own in zip(common, shape.box, strict=True)
            )
        ]
        for shape in (first, second)
    ]
    smaller = min(int(first.mask.sum()), int(second.mask.sum()))
    return float((cuts[0] & cuts[1]).sum()) / max(smaller, 1)
