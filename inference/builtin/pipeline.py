"""Which function analyses a study for a package: a built-in pipeline, or the package's own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from inference.builtin import classification, detection, segmentation
from models.manifest import ModelManifest
from node.domain.analysis import Analyse, AnalysisRequest
from node.domain.errors import ModelError
from node.domain.finding import Findings

#: By the word that stands behind `pipeline:`; what looks at volumes.
BUILT_IN: Mapping[str, Callable[[AnalysisRequest, ModelManifest], Findings]] = {
    "segmentation": segmentation.analyse,
    "detection": detection.analyse,
    "classification": classification.analyse,
}


def pipeline_of(manifest: ModelManifest) -> Analyse:
    """The function of a package; a package with a built-in pipeline brings no code.

    Raises:
        ModelError: its module cannot be imported, or has no `analyse`.
    """
    built_in = BUILT_IN.get(manifest.pipeline)
    if built_in is not None:

        def analyse_as_stated(request: AnalysisRequest) -> Findings:
            return built_in(request, manifest)

        return analyse_as_stated
    try:
        analyse: Analyse = importlib.import_module(manifest.pipeline).analyse
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"package {manifest.identity.name}: {manifest.pipeline} cannot be used ({error}); "
            "correct 'pipeline:' in model.yaml, or install the package again"
        ) from error
    return analyse
