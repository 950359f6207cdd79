"""A package whose networks are open; only sandboxed programs import this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference.engine import EngineOptions, LoadedNetwork, open_network
from models.manifest import ModelManifest


@dataclass(frozen=True, slots=True)
class Opened:
    """The package as the node sees it, before it is written to its place."""

    manifest: ModelManifest
    networks: Mapping[str, LoadedNetwork]


def opened(manifest: ModelManifest) -> Opened:
    """Every network of a package, by the engine, on the CPU.

    Raises:
        ModelError: what the importer made is no package.
    """
    options = EngineOptions(providers=("cpu",))
    return Opened(manifest, {spec.name: open_network(spec, options) for spec in manifest.networks})
