"""Which built-in pipeline a package names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from inference.builtin import attention_mil, classification, detection, segmentation, tiles
from models.manifest import ModelManifest
from node.domain.analysis import Analyse, AnalysisRequest, SlideRequest
from node.domain.errors import ModelError
from node.domain.finding import Findings

#: By the word that stands behind `pipeline:`; what looks at volumes.
BUILT_IN: Mapping[str, Callable[[AnalysisRequest, ModelManifest], Findings]] = {
    "segmentation": segmentation.analyse,
    "detection": detection.analyse,
    "classification": classification.analyse,
}
#: The same of what looks at slides.
OF_SLIDES: Mapping[str, Callable[[SlideRequest, ModelManifest], Findings]] = {
    "tiles": tiles.analyse,
    "attention_mil": attention_mil.analyse,
}
#: What is told of their packages wherever somebody could count on them.
NO_SLIDES = (
    "the node does not yet analyse slides (their pipeline is tested, a reader of slides is missing)"
)


def looks_at_slides(manifest: ModelManifest) -> bool:
    """True of a package that this version of the node does not run."""
    return manifest.pipeline in OF_SLIDES


def built_in(manifest: ModelManifest) -> Analyse | None:
    """The function of a package that brings no code; None where it names a module of its own.

    Raises:
        ModelError: it looks at slides, which this version of the node receives but does not open.
    """
    if looks_at_slides(manifest):
        raise ModelError(
            f"package {manifest.identity.name} looks at slides, which this version of the node "
            "does not open yet; set 'enabled: false' for it in appliance.yaml"
        )
    analyse = BUILT_IN.get(manifest.pipeline)
    if analyse is None:
        return None

    def analyse_as_stated(request: AnalysisRequest) -> Findings:
        return analyse(request, manifest)

    return analyse_as_stated
