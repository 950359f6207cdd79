"""The models that stay loaded in a worker process: opened, proved, used, let go.

Runs inside the worker. A model is proved by its golden case whenever it is opened, on the
provider that will really run it; one that fails on a provider is tried on the next.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from config.runtimes import FP32
from inference.builtin.pipeline import built_in
from inference.device import DeviceServer, remote_network
from inference.engine import EngineOptions, LoadedNetwork, choices_of, open_network
from inference.golden import NetworkProof, Speeds, check_arrays, check_golden
from inference.gpus import address_here
from inference.worker_process import MEGABYTE, set_aside_from_collection, status_bytes
from models.manifest import ModelManifest
from models.package_code import load_code
from models.registry import package_digest, verify_files
from models.signature import Trust, verify
from node.domain.analysis import Analyse, AnalysisRequest
from node.domain.anatomy import Anatomy
from node.domain.errors import ModelError, NodeError, WorkerError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSetup:
    """A model as a worker is to hold it.

    Attributes:
        manifest: of the package, with the thresholds of this site.
        trust: whose packages may run.
        engine: how its networks are run.
        device: socket of the process that holds its networks, one for each GPU beside it
            (`inference.gpus`); None: this process does.
        resident_mb: memory that all loaded models of a worker may take together; those that
            were not used for longest are let go.
        speeds: of its networks, where they were measured here before.
    """

    manifest: ModelManifest
    trust: Trust = field(default_factory=Trust)
    engine: EngineOptions = field(default_factory=EngineOptions)
    device: Path | None = None
    resident_mb: int | None = None
    speeds: Speeds = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """Of the model."""
        return self.manifest.identity.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProof:
    """What was seen when a model was opened and proved.

    Attributes:
        networks: how each did.
        labels: of each network, what it runs on in the words of the configuration.
        passed_over: label of what was tried before and failed -> cause.
        has_golden: False: the package brings no golden case; it was only warmed up.
        seconds: of opening and proving. resident_mb: memory that it takes.
    """

    networks: tuple[NetworkProof, ...]
    labels: Mapping[str, str]
    passed_over: Mapping[str, str] = field(default_factory=dict)
    has_golden: bool
    seconds: float
    resident_mb: int

    @property
    def providers(self) -> tuple[str, ...]:
        """What runs its networks, each once."""
        return tuple(dict.fromkeys(network.provider for network in self.networks))

    @property
    def speeds(self) -> Speeds:
        """What need not be measured again in another process of this computer."""
        return {(one.network, one.provider): one.windows_per_s for one in self.networks}


@dataclass(slots=True)
class OpenModel:
    """A model in the memory of this process."""

    setup: ModelSetup
    networks: dict[str, LoadedNetwork]
    analyse: Analyse
    proof: ModelProof


class Residents:
    """The models of this process, the one used last at the end. All methods are thread-safe."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, OpenModel] = OrderedDict()
        self._wanted: dict[str, ModelSetup] = {}
        self._opening = threading.Lock()

    def get(self, setup: ModelSetup) -> OpenModel:
        """The model, opened and proved first where it is not held as it is asked for.

        Raises:
            ModelError, GoldenMismatch: it must not be used. WorkerError: its server is away.
        """
        with self._opening:
            held = self._open.get(setup.name)
            if held is not None and held.setup == setup:
                self._open.move_to_end(setup.name)
                return held
            self.let_go(setup.name)
            opened = _open(setup)
            self._open[setup.name] = opened
            self._wanted[setup.name] = setup
            self._make_room(setup.resident_mb)
            set_aside_from_collection()
            return opened

    def find(self, model: str, network: str) -> LoadedNetwork:
        """A network of a model that is in service here; raises NodeError.

        One that was let go to make room is opened again.
        """
        held = self._open.get(model)
        if held is None and model in self._wanted:
            held = self.get(self._wanted[model])
        if held is None or network not in held.networks:
            raise WorkerError(f"model {model} is just being loaded; the analysis is tried again")
        return held.networks[network]

    def let_go(self, name: str) -> None:
        """Forget a model; what it held is freed."""
        self._open.pop(name, None)
        self._wanted.pop(name, None)

    @property
    def names(self) -> tuple[str, ...]:
        """What is held, least recently used first."""
        return tuple(self._open)

    def _make_room(self, limit_mb: int | None) -> None:
        while (
            limit_mb is not None
            and len(self._open) > 1
            and sum(model.proof.resident_mb for model in self._open.values()) > limit_mb
        ):
            self._open.popitem(last=False)


residents = Residents()


def begin(_: object) -> None:
    """The initializer of every worker: what this module imports is loaded before the first job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSetup:
    """The process that holds the networks for all workers.

    Attributes:
        address: of its socket. limit_s: a call that lasts longer hangs.
    """

    address: Path
    limit_s: float


def begin_device(setup: DeviceSetup) -> None:
    """The initializer of that process."""
    DeviceServer(address_here(setup.address), residents.find, limit_s=setup.limit_s).start()


def open_model(setup: ModelSetup) -> ModelProof:
    """Hold a model in this process; the standing job of every worker.

    Raises:
        ModelError, GoldenMismatch: it must not be used. WorkerError: its server is away.
    """
    return residents.get(setup).proof


def prove_model(setup: ModelSetup) -> ModelProof:
    """Prove a model again, as it is held: its files, then its golden case.

    Raises:
        ModelError, GoldenMismatch: it must not be used any more, on the provider that stands in
            the error, or at all. It is not held any more then: whatever this worker is asked
            next, it does not go on with it.
    """
    try:
        _verify(setup)
        model = residents.get(setup)
        # No provider is to blame for what the files themselves hold.
        check_arrays(setup.manifest)
        started = time.perf_counter()
        networks = _golden(setup.manifest, model.networks)
    except ModelError:
        residents.let_go(setup.name)
        raise
    model.proof = replace(model.proof, networks=networks, seconds=time.perf_counter() - started)
    return model.proof


def let_go(name: str) -> None:
    """Forget a model that was taken out of service."""
    residents.let_go(name)


def _open(setup: ModelSetup) -> OpenModel:
    started = time.perf_counter()
    before = status_bytes(os.getpid(), "VmRSS")
    manifest = setup.manifest
    _verify(setup)
    if setup.device is not None:
        return _opened_elsewhere(setup, address_here(setup.device))
    networks, proofs, passed_over = _proved(setup)
    grown = max(0, status_bytes(os.getpid(), "VmRSS") - before) // MEGABYTE
    weights = sum(spec.path.stat().st_size for spec in manifest.networks) // MEGABYTE
    proof = ModelProof(
        networks=proofs,
        labels={name: network.label for name, network in networks.items()},
        passed_over=passed_over,
        has_golden=manifest.golden is not None,
        seconds=time.perf_counter() - started,
        resident_mb=max(grown, weights, 1),
    )
    return OpenModel(setup=setup, networks=networks, analyse=pipeline_of(manifest), proof=proof)


def _opened_elsewhere(setup: ModelSetup, device: Path) -> OpenModel:
    """The networks stay in the process of the device, where they were proved."""
    manifest = setup.manifest
    networks = {spec.name: remote_network(device, setup.name, spec) for spec in manifest.networks}
    proof = ModelProof(
        networks=(),
        labels={name: network.label for name, network in networks.items()},
        has_golden=manifest.golden is not None,
        seconds=0.0,
        resident_mb=1,
    )
    return OpenModel(setup=setup, networks=networks, analyse=pipeline_of(manifest), proof=proof)


def _verify(setup: ModelSetup) -> None:
    """Files, code and signature are those that were read when the node started."""
    manifest = setup.manifest
    verify_files(manifest.folder)
    if package_digest(manifest.folder) != manifest.identity.digest:
        raise ModelError(
            f"package {manifest.identity.name} was changed while the node runs; start Vigie again "
            "to take the new one, or install the old one again"
        )
    verify(manifest, setup.trust)


def _proved(
    setup: ModelSetup,
) -> tuple[dict[str, LoadedNetwork], tuple[NetworkProof, ...], dict[str, str]]:
    """The networks on the best providers on which the golden case is reproduced."""
    manifest, engine = setup.manifest, setup.engine
    # Before any provider: none of them is to blame for what the files themselves hold.
    check_arrays(manifest)
    passed_over = _unprovable(setup)
    engine = replace(engine, barred=engine.barred | passed_over.keys())
    last = ModelError("; ".join(passed_over.values())) if passed_over else None
    while True:
        try:
            networks = {
                spec.name: open_network(spec, engine, manifest.identity.name)
                for spec in manifest.networks
            }
        except ModelError as error:
            # Without another provider left, the cause is what all of them did.
            raise (_whole(last, passed_over) if last else error) from None
        try:
            proofs = _golden(manifest, networks, setup.speeds)
        except ModelError as error:
            failed = error.provider
            last = error
            passed_over[failed] = str(error)
            engine = replace(engine, barred=engine.barred | {failed})
            log.warning("provider.failed", model=setup.name, provider=failed, cause=str(error))
            continue
        for network in networks.values():
            passed_over |= network.passed_over
        return networks, proofs, passed_over


def _whole(last: ModelError, passed_over: Mapping[str, str]) -> ModelError:
    """What the last provider did, and those before it."""
    before = [f"before that {label}: {why}" for label, why in passed_over.items()]
    others = [told for told in before if told.split(": ", 1)[1] not in str(last)]
    return type(last)("; ".join([str(last), *others]))


def _golden(
    manifest: ModelManifest, networks: Mapping[str, LoadedNetwork], speeds: Speeds | None = None
) -> tuple[NetworkProof, ...]:
    """One network after the other; an error says on what the one ran that failed."""
    proofs: list[NetworkProof] = []
    for spec in manifest.networks:
        try:
            proofs += check_golden(replace(manifest, networks=(spec,)), networks, speeds or {})
        except ModelError as error:
            error.provider = networks[spec.name].label
            raise
    return tuple(proofs)


def _unprovable(setup: ModelSetup) -> dict[str, str]:
    """Labels of what only a golden case could prove, where the package brings none.

    A server may hold other weights under the same name; a lower precision is another network.
    """
    manifest = setup.manifest
    if manifest.golden is not None:
        return {}
    why = f"package {manifest.identity.name} brings no golden case, which alone could prove it on"
    return {
        choice.label: f"{why} {choice.label}"
        for spec in manifest.networks
        for choice in choices_of(spec, setup.engine)
        if choice.word == "triton" or choice.precision != FP32
    }


def pipeline_of(manifest: ModelManifest) -> Analyse:
    """The function that looks at a series: a built-in one, or the package's own.

    Raises:
        ModelError: it looks at what this node cannot open; its module cannot be imported, or
            holds no `analyse`.
    """
    without_code = built_in(manifest)
    if without_code is not None:
        return without_code
    name = manifest.identity.name
    try:
        analyse: Analyse = load_code(manifest).analyse
    except (MemoryError, NodeError):
        raise
    except Exception as error:
        # The package's own code: whatever it raises is the fault of the package.
        raise ModelError(
            f"package {name}: its pipeline {manifest.pipeline} cannot be imported "
            f"({type(error).__name__}: {error}); install the package again"
        ) from error
    return analyse


def seer_of(manifest: ModelManifest) -> Callable[[AnalysisRequest], Anatomy]:
    """The function `see` of the package that sees anatomy for all others.

    Raises:
        ModelError: its module cannot be imported, or holds no `see`.
    """
    name = manifest.identity.name
    try:
        see: Callable[[AnalysisRequest], Anatomy] = load_code(manifest).see
    except (MemoryError, NodeError):
        raise
    except Exception as error:
        # The package's own code: whatever it raises is the fault of the package.
        raise ModelError(
            f"package {name}: it sees no anatomy for other packages "
            f"({type(error).__name__}: {error}); install the package again"
        ) from error
    return see
