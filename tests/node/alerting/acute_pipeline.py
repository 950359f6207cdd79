"""The pipeline of the test package: the brightest voxel says how certain it is of an embolus.

1000 HU and 10 HU for each per cent; a voxel of 3000 HU is an artefact, with which nothing is found.
"""

from __future__ import annotations

import numpy as np

from node.domain.analysis import AnalysisRequest
from node.domain.finding import (
    CodedConcept,
    Contour,
    Finding,
    Findings,
    KeyImage,
    Measurement,
    Status,
    derived_uid,
)

EMBOLISM = CodedConcept("59282003", "SCT", "Pulmonary embolism")
ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
ARTERY = CodedConcept("81040000", "SCT", "Pulmonary artery")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
PERCENT = CodedConcept("%", "UCUM", "percent")
ARTEFACT = 3000


def analyse(request: AnalysisRequest) -> Findings:
    """One finding on the slice of the brightest voxel, or none."""
    voxels = request.volume.voxels
    highest = int(voxels.max())
    where = int(np.unravel_index(int(voxels.argmax()), voxels.shape)[0])
    plane = request.volume.planes[where]
    page = KeyImage(
        pixels=voxels[where].astype(np.float32),
        window=(40.0, 400.0),
        pixel_mm=request.volume.spacing_mm[1:],
        caption="brightest voxel",
        plane=plane,
    )
    if not 1000 < highest < ARTEFACT:
        return Findings(model=request.model, status=Status.NO_FINDINGS, key_images=(page,))
    corners = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], np.float32)
    finding = Finding(
        tracking_identifier="embolus",
        tracking_uid=derived_uid(request.volume.study_uid, "embolus"),
        finding=EMBOLISM,
        category=ABNORMAL,
        site=ARTERY,
        contours=(Contour(plane=plane, points=corners),),
        measurements=(
            Measurement(
                name=CERTAINTY, value=(highest - 1000) / 10, unit=PERCENT, label="Certainty"
            ),
        ),
    )
    return Findings(
        model=request.model, status=Status.FINDINGS, findings=(finding,), key_images=(page,)
    )
