"""Anatomy of one CT series: for the packages that build on it, and as contours of its own."""

from __future__ import annotations

from models.anatomy.atlas import anatomy_of
from models.anatomy.report import findings_of
from models.anatomy.upright import refuse_turned
from models.grid import canonical
from models.stages import Stages, require
from models.trunk.pixels import refuse_wrong_pixels
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy
from node.domain.finding import Findings

NETWORK = "anatomy"


def see(request: AnalysisRequest) -> Anatomy:
    """Structures, and vertebrae with their levels where these are certain.

    Raises:
        ModelError: the network is missing, or the volume is not in HU.
    """
    require(request, NETWORK)
    volume, network = request.volume, request.networks[NETWORK]
    return anatomy_of(canonical(volume), network, request.model.digest, volume.padding)


def analyse(request: AnalysisRequest) -> Findings:
    """Contours and volumes of what is in view.

    Returns:
        FINDINGS with one finding and one segment for each structure; NO_FINDINGS where the
        network recognises none; NOT_ELIGIBLE where the pixels are no adult's body in HU, or
        head and feet are exchanged.

    Raises:
        ModelError: the network is missing, or the volume is not in HU.
    """
    require(request, NETWORK)
    grid = canonical(request.volume)
    stage = Stages(request)
    with stage("check pixels"):
        refusal = refuse_wrong_pixels(grid)
    if refusal is not None:
        return stage.refused(refusal.reason)
    with stage("see anatomy"):
        anatomy = request.anatomy() if request.anatomy is not None else see(request)
        refusal = refuse_turned(anatomy)
    if refusal is not None:
        return stage.refused(refusal.reason)
    with stage("draw contours"):
        return findings_of(request, grid, anatomy, stage.seconds)
