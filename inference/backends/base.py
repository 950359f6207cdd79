"""What every runtime offers: a session over one network, and what it says of its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from inference.providers import Choice
from models.manifest import NetworkSpec
from node.domain.errors import ModelError

#: Tensors by name.
Arrays = Mapping[str, NDArray[Any]]
_OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory", "out of memory")
_PLACES = ("Exception from ", "Check ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output as the file itself describes it.

    Attributes:
        dtype: NumPy's word, or the runtime's own where NumPy has none.
        shape: with the batch axis; None where the file leaves a size open.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Session(Protocol):
    """One network, loaded; `run` may be called from several threads."""

    @property
    def provider(self) -> str:
        """What really runs it, as the runtime reports it ("CPUExecutionProvider")."""
        ...

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it takes."""
        ...

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What it gives."""
        ...

    def run(self, feeds: Arrays, wanted: Sequence[str]) -> tuple[NDArray[Any], ...]:
        """One call: the wanted outputs, in that order.

        Raises:
            ModelError: the runtime failed. MemoryError: there was not enough.
            WorkerError: a server that runs it does not answer.
        """
        ...


class Backend(Protocol):
    """One runtime."""

    def open(self, opening: Opening) -> Session:
        """Load a network.

        Raises:
            ModelError: the runtime cannot, or did not do it on the provider that was asked for.
            MemoryError: there was not enough.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a runtime is asked to open.

    Attributes:
        model: content of the ONNX file, its digest verified and its graph inspected.
        choice: the provider to run it on. rest: providers for what that one cannot run.
        threads: of one call on the CPU.
        package: name of the package. triton: the server, where one is configured.
    """

    spec: NetworkSpec
    model: bytes
    choice: Choice
    rest: tuple[Choice, ...] = ()
    threads: int
    package: str = ""
    triton: TritonSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonSettings:
    """A Triton server.

    Attributes:
        url: "host:port" of its gRPC interface.
        tls: encrypted. ca_file: the authority that signed its certificate; None: the system's.
        connect_timeout_s: of questions about a model. time_limit_s: of one call.
        models: "package/network" -> its name in the server's repository.
    """

    url: str
    tls: bool = False
    ca_file: Path | None = None
    connect_timeout_s: float = 10.0
    time_limit_s: float = 60.0
    models: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, package: str, network: str) -> str:
        """What a network is called in the server's repository; "package_network" by default."""
        return self.models.get(f"{package}/{network}", f"{package}_{network}")


def failure(what: str, error: Exception) -> ModelError:
    """The runtime's own words; raises MemoryError where they say so (they hold no pixels)."""
    text = str(error)
    if any(sign in text for sign in _OUT_OF_MEMORY):
        raise MemoryError(text) from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # OpenVINO begins with the places in its own source.
    told = [line for line in lines if not line.startswith(_PLACES)] or lines
    return ModelError(f"{what}: {told[0] if told else type(error).__name__}")
