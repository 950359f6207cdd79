"""What every analysis of one series begins and ends with: its networks, timed stages, a refusal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from node.domain.analysis import AnalysisRequest
from node.domain.errors import ModelError
from node.domain.finding import Findings, Status


def require(request: AnalysisRequest, *networks: str) -> None:
    """Can the analysis begin?

    Raises:
        ModelError: a network is missing, or the volume is not in HU.
    """
    missing = set(networks) - request.networks.keys()
    if missing:
        raise ModelError(
            f"networks {sorted(missing)} are not loaded; check model.yaml of {request.model.name}",
            series_uid=request.volume.series_uid,
        )
    if request.volume.unit != "HU":
        raise ModelError(
            f"the volume is in '{request.volume.unit}', not in HU",
            series_uid=request.volume.series_uid,
        )


class Stages:
    """Times the stages of one analysis and tells of each as it begins.

    Attributes:
        seconds: of each stage, by its name.
    """

    def __init__(self, request: AnalysisRequest) -> None:
        self._request = request
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """One stage, also when it raises."""
        self._request.progress(name)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - started

    def refused(self, reason: str) -> Findings:
        """The series is not eligible, with the stages that were passed."""
        return Findings(
            model=self._request.model,
            status=Status.NOT_ELIGIBLE,
            reason=reason,
            seconds=self.seconds,
        )
