"""A package tried in a process of its own: what hangs, crashes or eats memory ends only that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from inference.engine import EngineOptions, open_network
from inference.golden import check_arrays
from inference.gpus import environments
from inference.worker import WorkerPool
from models.manifest import ModelManifest
from models.package_code import require_own_code
from models.signature import Trust
from node.domain.errors import ModelError, WorkerError
from node.pipeline.holding import HoldingSettings, memory_to_open_mb
from node.pipeline.resident import ModelProof, ModelSetup, begin, open_model


@contextmanager
def trial(gpus: Sequence[int] = ()) -> Iterator[WorkerPool]:
    """A pool of one process for each of these GPUs, or of one, that ends with the block."""
    pool = WorkerPool(len(gpus) or 1, initializer=begin, environments=environments(gpus))
    try:
        yield pool
    finally:
        pool.stop()


def try_package(manifest: ModelManifest, trust: Trust, settings: HoldingSettings) -> ModelProof:
    """Open a package as a worker would, and run its golden case; no engine is built for it.

    Raises:
        ModelError, GoldenMismatch, WorkerError: it cannot be used.
    """
    engine: EngineOptions = replace(settings.engine, builds=False)
    setup = ModelSetup(manifest=manifest, trust=trust, engine=engine)
    with trial() as pool:
        proof: ModelProof = pool.run(
            open_model,
            setup,
            time_limit_s=settings.load_limit_s,
            memory_mb=memory_to_open_mb(setup),
        )
        return proof


def check_networks(manifest: ModelManifest, settings: HoldingSettings) -> None:
    """Open every network of a package on the CPU, within the limits of a worker; runs no code.

    The golden case is read and compared with what the manifest states; it is not run.

    Raises:
        ModelError: one of them or the golden case is not as the package states, hangs, or eats
            memory; or the pipeline is no code of this package.
    """
    require_own_code(manifest)
    memory_mb = memory_to_open_mb(ModelSetup(manifest=manifest))
    try:
        with trial() as pool:
            pool.run(
                open_networks, manifest, time_limit_s=settings.load_limit_s, memory_mb=memory_mb
            )
    except WorkerError as error:
        # What follows the cause is meant for studies.
        raise ModelError(f"opening its networks: {str(error).split('; ')[0]}") from error


def open_networks(manifest: ModelManifest) -> None:
    """Runs in the process of the trial."""
    for spec in manifest.networks:
        open_network(spec, EngineOptions())
    check_arrays(manifest)
