"""Pulmonary embolism on one CT series: contrast, anatomy, clots, ventricles."""

from __future__ import annotations

import numpy as np

from models.grid import Grid, canonical
from models.pulmonary_embolism import anatomy as central
from models.pulmonary_embolism import candidates as local
from models.pulmonary_embolism.again import look_again
from models.pulmonary_embolism.anatomy import Anatomy, find_anatomy, search_mask
from models.pulmonary_embolism.candidates import find_candidates
from models.pulmonary_embolism.certainty import allowed, certainty_of
from models.pulmonary_embolism.clots import Clot, clot_of
from models.pulmonary_embolism.gate import Contrast, measure_contrast, refuse, refuse_trunk
from models.pulmonary_embolism.plausibility import refuse_implausible, refuse_turned
from models.pulmonary_embolism.region import Region, find_region
from models.pulmonary_embolism.report import Measured, findings_of
from models.pulmonary_embolism.set_aside import SetAside
from models.pulmonary_embolism.space import Space, doubled, space_of
from models.pulmonary_embolism.ventricles import measure_ventricles
from models.pulmonary_embolism.view import unseen
from models.pulmonary_embolism.windows import probabilities
from models.stages import Stages, require
from node.domain.analysis import AnalysisRequest
from node.domain.finding import Findings

#: Candidates that are looked at again, at most: about a second each on one core, and the job has
#: an end. 45 simulated chests had up to nine; a scan with more than this is noise or metal.
MOST_LOOKED_AT = 60


def analyse(request: AnalysisRequest) -> Findings:
    """Look for clots in one CT series, or say why it must not be looked at.

    Returns:
        FINDINGS with one finding per clot; NO_FINDINGS where none is sure enough to be named;
        NOT_ELIGIBLE with the reason when the pulmonary arteries are not in view or hold too little
        contrast medium.

    Raises:
        ModelError: a network is missing or the volume is not in HU.
    """
    return _Analysis(request).run()


class _Analysis:
    """One series under way."""

    def __init__(self, request: AnalysisRequest) -> None:
        require(request, central.NETWORK, local.NETWORK)
        self.request = request
        self.grid: Grid = canonical(request.volume)
        self.stage = Stages(request)

    def run(self) -> Findings:
        with self.stage("check pixels"):
            refusal = refuse_implausible(self.grid)
            if refusal is not None:
                return self.stage.refused(refusal.reason)
            space = space_of(self.grid)
        with self.stage("find lungs and contrast"):
            region = find_region(space.coarse)
            contrast = measure_contrast(space.coarse, region)
            refusal = refuse(region, contrast, self.request.thresholds) or refuse_turned(
                space.coarse, region
            )
        if refusal is not None:
            return self.stage.refused(refusal.reason)
        with self.stage("find heart and great vessels"):
            anatomy = find_anatomy(space.coarse, region, self.request.networks[central.NETWORK])
            refusal = refuse_trunk(anatomy.trunk_hu, self.request.thresholds)
        if refusal is not None:
            return self.stage.refused(refusal.reason)
        with self.stage("find clots"):
            blood_hu, where = _blood(anatomy, contrast)
            clots, set_aside = self._clots(space, region, anatomy, blood_hu)
        with self.stage("measure"):
            ventricles = measure_ventricles(anatomy)
        return findings_of(
            self.request,
            Measured(
                space=space,
                clots=clots,
                set_aside=set_aside,
                contrast=contrast,
                blood_hu=blood_hu,
                where=where,
                ventricles=ventricles,
                unseen=unseen(region, anatomy),
                middle=_middle(space, region, anatomy),
                seconds=self.stage.seconds,
            ),
        )

    def _clots(
        self, space: Space, region: Region, anatomy: Anatomy, blood_hu: float
    ) -> tuple[tuple[Clot, ...], SetAside]:
        """The surest first, and what is not told of the rest."""
        where = doubled(search_mask(space.coarse, region, anatomy), space.hu.shape)
        chances = probabilities(
            space.hu,
            where,
            self.request.networks[local.NETWORK],
            local.PATCH,
            local.VALUE_RANGE,
        )
        least = self.request.thresholds["possible"]
        trunk = doubled(anatomy.mask("pulmonary_artery"), space.hu.shape)
        network = self.request.networks[local.NETWORK]
        found = find_candidates(space.hu, chances, where, blood_hu)
        possible = [candidate for candidate in found if allowed(candidate)]
        clots = []
        for candidate in possible[:MOST_LOOKED_AT]:
            again = look_again(space, where, candidate, network)
            certainty = certainty_of(candidate, again)
            if certainty >= least:
                clots.append(clot_of(space, (candidate, certainty), trunk, 2 * region.middle))
        clots.sort(key=lambda clot: (-clot.certainty, clot.candidate.centre))
        return tuple(clots), SetAside(
            unsure=len(possible[:MOST_LOOKED_AT]) - len(clots),
            no_clot=len(found) - len(possible),
            not_looked_at=len(possible[MOST_LOOKED_AT:]),
        )


def _blood(anatomy: Anatomy, contrast: Contrast) -> tuple[float, str]:
    """Attenuation of opacified blood: the trunk where it is seen, else the vessels at the hila."""
    if anatomy.trunk_hu is not None:
        return anatomy.trunk_hu, "the pulmonary trunk"
    assert contrast.hilar_hu is not None
    return contrast.hilar_hu, "the large vessels at the hila"


def _middle(space: Space, region: Region, anatomy: Anatomy) -> int:
    """Canonical slice index through the pulmonary trunk, or else where most large vessels enter
    the lungs.
    """
    trunk = np.flatnonzero(anatomy.mask("pulmonary_artery").any(axis=(1, 2)))
    inside = (region.room & ~region.air).sum(axis=(1, 2))
    found = anatomy.trunk_hu is not None
    at = 2.0 * float(np.median(trunk) if found else np.argmax(inside)) + 0.5
    row = round(float(space.to_grid(np.array([[at, 0.0, 0.0]]))[0, 0]))
    return int(np.clip(row, 0, space.grid.shape[0] - 1))
