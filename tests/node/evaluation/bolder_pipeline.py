"""The pipeline of a second test package: calls an embolus only from 60 % on, and lies 2 mm beside.

Everything else is as in `tests/node/alerting/acute_pipeline.py`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from node.domain.analysis import AnalysisRequest
from node.domain.finding import Findings, Status
from tests.node.alerting import acute_pipeline

LEAST_PERCENT = 60.0


def analyse(request: AnalysisRequest) -> Findings:
    """One finding on the slice of the brightest voxel, or none."""
    first = acute_pipeline.analyse(request)
    if not first.findings:
        return first
    (finding,) = first.findings
    (score,) = finding.measurements
    if score.value < LEAST_PERCENT:
        return replace(first, status=Status.NO_FINDINGS, findings=())
    (contour,) = finding.contours
    beside = replace(contour, points=contour.points + np.float32(2.0))
    less = replace(score, value=score.value - 5.0)
    return replace(first, findings=(replace(finding, contours=(beside,), measurements=(less,)),))
