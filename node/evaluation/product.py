"""The product's own path, without receiver and outbox: files -> series -> volume -> findings."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from inference.engine import EngineOptions, open_network
from inference.golden import check_golden
from inference.projection import load_images
from inference.series import describe_with_facts
from models.manifest import ModelManifest
from models.registry import load_manifest
from node.domain.analysis import Analyse, AnalysisRequest
from node.domain.anatomy import ANATOMY
from node.domain.errors import VolumeError
from node.domain.finding import Findings, Status
from node.domain.imaging import Network, Volume
from node.domain.verdict import Ineligible
from node.evaluation.filing import instances_of
from node.pipeline.eligibility import judge
from node.pipeline.resident import pipeline_of
from node.pipeline.seeing import anatomy_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the product says of one series.

    Attributes:
        volume: as loaded, None where it was refused before.
        verdict: "" or why the headers refuse the series; the pixels are then looked at all the
            same, so that the stages behind can be measured.
        seconds: from the files to the findings.
    """

    findings: Findings
    volume: Volume | None
    verdict: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Product:
    """One package, loaded as a worker loads it; `anatomy`: the package that it builds on."""

    manifest: ModelManifest
    networks: Mapping[str, Network]
    analyse: Analyse
    anatomy: Product | None = None

    def look(self, paths: Iterable[Path]) -> Look:
        """Analyse the longest series among some files."""
        started = time.perf_counter()
        study, facts = describe_with_facts(
            instances_of(paths),
            generation=1,
            completed_at=datetime.now(UTC),
            confidence="a folder, complete as it is",
            pixels=False,
        )
        series = max(study.series, key=lambda one: len(one.planes))
        (own,) = (one for one in facts.series if one.stack_id == series.stack_id)
        verdict = judge(own, self.manifest)
        reason = verdict.reason if isinstance(verdict, Ineligible) else ""
        try:
            volume = load_images(series, self.manifest.inputs)
        except VolumeError as error:
            refused = Findings(
                model=self.manifest.identity, status=Status.NOT_ELIGIBLE, reason=str(error)
            )
            return Look(findings=refused, volume=None, verdict=reason, seconds=0.0)
        request = AnalysisRequest(
            volume=volume,
            series=series,
            patient=study.patient,
            model=self.manifest.identity,
            networks=self.networks,
            thresholds=self.manifest.thresholds,
        )
        findings = self.analyse(self._with_anatomy(request))
        return Look(
            findings=findings,
            volume=volume,
            verdict=reason,
            seconds=time.perf_counter() - started,
        )

    def _with_anatomy(self, request: AnalysisRequest) -> AnalysisRequest:
        """The request with the anatomy of its series to call for, where the package may."""
        seer = self.anatomy
        if seer is None:
            return request
        see = cache(partial(anatomy_by, seer.manifest, seer.networks, request))
        return replace(request, anatomy=see)


def open_product(
    folder: Path, *, golden: bool = True, providers: tuple[str, ...] = ("cpu",)
) -> Product:
    """Load a package with its networks; with `golden`, prove it first.

    Args:
        providers: words of `workers.providers`, best first.
    """
    manifest = load_manifest(folder)
    options = EngineOptions(providers=providers)
    networks = {spec.name: open_network(spec, options) for spec in manifest.networks}
    if golden and manifest.golden is not None:
        check_golden(manifest, networks)
    anatomy = None
    if ANATOMY in manifest.uses and manifest.identity.name != ANATOMY:
        # The anatomy package sees for others; asked for itself it calls its own network.
        anatomy = open_product(folder.parent / ANATOMY, golden=golden, providers=providers)
    return Product(manifest, networks, pipeline_of(manifest), anatomy)
