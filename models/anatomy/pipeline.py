"""Anatomy of one CT series: for the packages that build on it, and as contours of its own."""

from __future__ import annotations

import time

from models.anatomy.atlas import anatomy_of
from models.anatomy.report import findings_of
from models.body_composition.plausibility import refuse_wrong_pixels
from models.grid import Grid, canonical
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy
from node.domain.errors import ModelError
from node.domain.finding import Findings, Status

NETWORK = "anatomy"


def see(request: AnalysisRequest) -> Anatomy:
    """Structures, and vertebrae with their levels where these are certain.

    Raises:
        ModelError: the network is missing, or the volume is not in HU.
    """
    return anatomy_of(_grid(request), request.networks[NETWORK], request.model.digest)


def analyse(request: AnalysisRequest) -> Findings:
    """Contours and volumes of what is in view.

    Returns:
        FINDINGS with one finding and one segment for each structure; NO_FINDINGS where the
        network recognises none; NOT_ELIGIBLE where the pixels are no adult's body in HU.

    Raises:
        ModelError: the network is missing, or the volume is not in HU.
    """
    grid = _grid(request)
    seconds: dict[str, float] = {}
    request.progress("check pixels")
    refusal = refuse_wrong_pixels(grid)
    if refusal is not None:
        return Findings(
            model=request.model, status=Status.NOT_ELIGIBLE, reason=refusal.reason, seconds=seconds
        )
    request.progress("see anatomy")
    started = time.perf_counter()
    anatomy = request.anatomy() if request.anatomy is not None else see(request)
    seconds["see anatomy"] = time.perf_counter() - started
    request.progress("draw contours")
    started = time.perf_counter()
    findings = findings_of(request, grid, anatomy, seconds)
    seconds["draw contours"] = time.perf_counter() - started
    return findings


def _grid(request: AnalysisRequest) -> Grid:
    if NETWORK not in request.networks:
        raise ModelError(
            f"network '{NETWORK}' is not loaded; check model.yaml of anatomy",
            series_uid=request.volume.series_uid,
        )
    if request.volume.unit != "HU":
        raise ModelError(
            f"the volume is in '{request.volume.unit}', not in HU",
            series_uid=request.volume.series_uid,
        )
    return canonical(request.volume)
