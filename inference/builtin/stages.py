"""What every built-in pipeline does around its own work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from models.manifest import ModelManifest
from models.manifest_region import RegionOfInterest
from models.manifest_results import Results
from node.domain.errors import ModelError
from node.domain.finding import Findings, ModelIdentity, Status
from node.domain.imaging import Progress


@dataclass(slots=True)
class Stages:
    """Times each stage and tells it."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stretch of work by this name."""
        self.progress(name)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def refused(model: ModelIdentity, reason: str, stages: Stages) -> Findings:
    """Not eligible, with the reason that a person reads."""
    return Findings(model=model, status=Status.NOT_ELIGIBLE, reason=reason, seconds=stages.seconds)


def results_of(manifest: ModelManifest) -> Results:
    """`results:`, which a built-in pipeline cannot do without."""
    if manifest.results is None:
        raise ModelError(
            f"package {manifest.identity.name} states no 'results:'; correct model.yaml"
        )
    return manifest.results


def region_of(manifest: ModelManifest) -> RegionOfInterest | None:
    """Where the package has to look; None for everywhere."""
    return next((s for s in manifest.preprocess if isinstance(s, RegionOfInterest)), None)


def not_looked_at(manifest: ModelManifest) -> tuple[str, ...]:
    """What is told of the images outside the region, which no network saw as a whole."""
    region = region_of(manifest)
    if region is None:
        return ()
    return (
        f"Only the region above {region.above:g} of the images, with a margin of "
        f"{region.margin_mm:g} mm, was looked at.",
    )


def parameters(manifest: ModelManifest) -> tuple[tuple[str, str], ...]:
    """What the result was computed with, as text pairs."""
    found = []
    for spec in manifest.networks:
        if spec.spacing_mm:
            spacing = " x ".join(f"{size:g}" for size in spec.spacing_mm)
            found.append((f"voxel size of {spec.name}", f"{spacing} mm"))
        if spec.patch:
            patch = " x ".join(map(str, spec.patch))
            found.append((f"window of {spec.name}", f"{patch}, overlap {spec.overlap:g}"))
    found += [(f"threshold {name}", f"{value:g}") for name, value in manifest.thresholds.items()]
    region = region_of(manifest)
    if region is not None:
        found.append(
            (
                "region of interest",
                f"above {region.above:g}, {region.parts} parts, "
                f"{'filled' if region.filled else 'not filled'}, margin {region.margin_mm:g} mm",
            )
        )
    if manifest.source is not None:
        version = f" {manifest.source.version}" if manifest.source.version else ""
        found.append(("network from", f"{manifest.source.framework}{version}"))
    return tuple(found)
