"""What a model pipeline is handed; `models/<task>/pipeline.py` turns it into `Findings`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from node.domain.anatomy import SeeAnatomy
from node.domain.finding import Findings, ModelIdentity, Tracked
from node.domain.imaging import Network, Progress, Volume
from node.domain.slide import Slide
from node.domain.study import Patient, Series


def silent(stage: str, **facts: object) -> None:
    """A `Progress` that tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionSeries:
    """A series that is analysed together with the first, by the role that a rule gives it.

    Attributes:
        load: reads its pixels; raises VolumeError as the first series would.
        study_date: DICOM date (DA) of its study; "" where it is not known.
        tracked: of another study: what the current result of the same model follows there.
    """

    series: Series
    load: Callable[[], Volume]
    study_date: str = ""
    tracked: tuple[Tracked, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRequest:
    """One eligible series, loaded, with the resident networks of the package.

    Attributes:
        networks: by the name in the manifest.
        thresholds: the manifest's thresholds, by name.
        progress: called with the name of each stage as it starts.
        companions: by role: the CT of a PET, the prior of a scan.
        anatomy: of the series, for a package that says `uses: [anatomy]`; the first package of
            a study that calls it computes it, all others get what was computed. None for others.
        study_date: DICOM date (DA) of the study; "" where it is not known.
    """

    volume: Volume
    series: Series
    patient: Patient
    model: ModelIdentity
    networks: Mapping[str, Network]
    thresholds: Mapping[str, float]
    progress: Progress = silent
    companions: Mapping[str, CompanionSeries] = field(default_factory=dict)
    anatomy: SeeAnatomy | None = None
    study_date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRequest:
    """One eligible slide, opened, with the resident networks of the package.

    Attributes: as of `AnalysisRequest`.
    """

    slide: Slide
    series: Series
    patient: Patient
    model: ModelIdentity
    networks: Mapping[str, Network]
    thresholds: Mapping[str, float]
    progress: Progress = silent


#: The one function of a package. It returns `Findings` with status NOT_ELIGIBLE (and the
#: reason) when the pixels contradict the headers; it raises `ModelError` when it cannot work.
Analyse = Callable[[AnalysisRequest], Findings]
