"""A network of a package, opened on the best provider that takes it, and kept.

The file's digest, its graph, the names, the types and the shapes are checked when it is opened;
the shape and the finiteness of every output when it is run. What really runs it is asked of the
session.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from inference.backends.base import Arrays, Opening, Session, Tensor, TritonSettings
from inference.backends.registry import backend_of
from inference.graph import inspect_graph
from inference.providers import Choice, choose, probe
from inference.windows import Windowing, run_maps, run_stack
from models.manifest import NetworkSpec, TensorSpec
from node.domain.errors import ModelError


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How networks are run on this computer.

    Attributes:
        providers: configured words, best first; what is lacking is passed over.
        threads: of one network call on the CPU; None for one a core.
        cache_folder: where compiled TensorRT engines are kept; None keeps none.
        barred: labels of choices ("tensorrt/fp16") that failed here before.
        builds: False passes over an engine that would have to be built first.
        triton: the server that "triton" is.
        provider_options: options of ONNX Runtime that the site adds, by configured word.
    """

    providers: tuple[str, ...] = ("cpu",)
    threads: int | None = None
    cache_folder: Path | None = None
    barred: frozenset[str] = frozenset()
    builds: bool = True
    triton: TritonSettings | None = None
    provider_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def open_network(spec: NetworkSpec, options: EngineOptions, package: str = "") -> LoadedNetwork:
    """Load a network on the first provider that takes it.

    Raises:
        ModelError: the file is missing, is not the one the manifest names, is no network of
            the stated names and shapes, or no configured provider can run it.
    """
    model = _read(spec)
    inspect_graph(model, spec.name)
    passed_over: dict[str, str] = {}
    choices = choices_of(spec, options)
    threads = options.threads or len(os.sched_getaffinity(0))
    for at, choice in enumerate(choices):
        opening = Opening(
            spec=spec,
            model=model,
            choice=choice,
            rest=choices[at + 1 :],
            threads=threads,
            package=package,
            triton=options.triton,
        )
        try:
            session = backend_of(choice.word).open(opening)
        except ModelError as error:
            passed_over[choice.label] = str(error)
            continue
        _check_tensors(spec, session)
        return LoadedNetwork(spec, session, choice, passed_over)
    told = "; ".join(dict.fromkeys(passed_over.values()))
    raise ModelError(f"network {spec.name} cannot be opened: {told}")


def choices_of(spec: NetworkSpec, options: EngineOptions) -> tuple[Choice, ...]:
    """What a network would be tried on, best first.

    Raises:
        ModelError: nothing that is configured works here.
    """
    found = choose(options.providers, probe(), spec, options.cache_folder, options.barred)
    choices = tuple(one.with_site(options.provider_options.get(one.word, {})) for one in found)
    if options.builds:
        return choices
    ready = tuple(choice for choice in choices if not choice.is_to_be_built)
    if not ready:
        raise ModelError(f"network {spec.name} waits for its engine, and no other provider works")
    return ready


class LoadedNetwork:
    """`node.domain.imaging.Network` over a session; safe to call from threads."""

    def __init__(
        self, spec: NetworkSpec, session: Session, choice: Choice, passed_over: Mapping[str, str]
    ) -> None:
        """`passed_over`: labels of what was tried before and failed, with the cause."""
        self.passed_over = passed_over
        self._spec = spec
        self._session = session
        self._choice = choice
        self._windowing = Windowing.of(spec.patch, spec.windows) if spec.patch else None

    @property
    def name(self) -> str:
        """Name of the network in its package's manifest."""
        return self._spec.name

    @property
    def provider(self) -> str:
        """What runs it, as the session reports it; "/fp16" behind it when it runs lowered."""
        return self._session.provider + self._choice.tolerance_key[len(self._choice.name) :]

    @property
    def label(self) -> str:
        """What it runs on, in the words of the configuration ("tensorrt/fp16")."""
        return self._choice.label

    @overload
    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]: ...

    @overload
    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]: ...

    def run(
        self, inputs: NDArray[np.float32] | Arrays
    ) -> NDArray[np.float32] | dict[str, NDArray[Any]]:
        """One batch of any size, in calls of at most `batch` of the manifest.

        Args:
            inputs: (n, channel, *patch) for a network with one input; or arrays by the names of
                the inputs, all with the same n first.

        Returns:
            The first output, (n, class, *patch); or all outputs by their names.

        Raises:
            ModelError: an input has another shape, the runtime failed, or an output is not
                finite or of another shape. MemoryError: there was not enough.
            WorkerError: a server that runs it does not answer.
        """
        if isinstance(inputs, Mapping):
            return self._run(inputs, self._spec.outputs)
        first = self._spec.outputs[0]
        return self._run({self._spec.input_name: inputs}, (first,))[first.name]

    @property
    def batch(self) -> int:
        """Windows per call, at most."""
        return self._spec.batch

    def run_some(self, inputs: Arrays, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """As `run` with arrays by name, but only these outputs."""
        return self._run(inputs, [one for one in self._spec.outputs if one.name in wanted])

    def described(self) -> dict[str, str]:
        """What runs it, for another process that hands windows over."""
        choice = self._choice
        return {
            "provider": self._session.provider,
            "word": choice.word,
            "name": choice.name,
            "precision": choice.precision,
        }

    def run_windows(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(channel, *spatial) float32 -> (class, *spatial) float32, weighted mean of windows."""
        output: NDArray[np.float32] = self.run_stack(image[np.newaxis])[0]
        return output

    def run_stack(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(image, channel, *spatial) -> (image, class, *spatial); for 2-D networks (slice, ...).

        Each image is windowed on its own; windows of several images share a call.
        """
        spec = self._spec
        if images.ndim != len(spec.patch) + 2 or images.shape[1] != spec.inputs[0].count:
            raise ModelError(
                f"network {spec.name} takes images of {spec.inputs[0].count} channel(s) and "
                f"{len(spec.patch)} axes, got {images.shape[1:]}"
            )
        return run_stack(self._first_output, images, self._cut())

    def run_maps(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """(channel, *spatial) -> every output by name, each in its own resolution."""
        outputs = run_maps(self._all_outputs, image, self._cut())
        return {one.name: output for one, output in zip(self._spec.outputs, outputs, strict=True)}

    def _cut(self) -> Windowing:
        if self._windowing is None:
            raise ModelError(f"network {self._spec.name} has no window; it cannot look at images")
        return self._windowing

    def _all_outputs(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        found = self._call({self._spec.input_name: windows}, self._spec.outputs)
        return tuple(found[one.name] for one in self._spec.outputs)

    def _first_output(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        first = self._spec.outputs[0]
        return self._call({self._spec.input_name: windows}, (first,))[first.name]

    def _run(self, inputs: Arrays, wanted: Sequence[TensorSpec]) -> dict[str, NDArray[Any]]:
        feeds = self._checked(inputs)
        number = len(next(iter(feeds.values())))
        parts = [
            self._call(
                {name: array[at : at + self._spec.batch] for name, array in feeds.items()}, wanted
            )
            for at in range(0, number, self._spec.batch)
        ]
        if len(parts) == 1:
            return parts[0]
        return {one.name: np.concatenate([part[one.name] for part in parts]) for one in wanted}

    def _checked(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        spec = self._spec
        if inputs.keys() != {one.name for one in spec.inputs}:
            raise ModelError(
                f"network {spec.name} takes {[one.name for one in spec.inputs]}, got {[*inputs]}"
            )
        number = {len(array) for array in inputs.values()}
        for one in spec.inputs:
            found = inputs[one.name].shape
            if number == {0} or len(number) > 1 or not _fits(found[1:], one.shape(spec.patch)):
                raise ModelError(
                    f"network {spec.name} takes {_in_words(one.shape(spec.patch))} as "
                    f"{one.name!r}, got {found}"
                )
        return {one.name: np.ascontiguousarray(inputs[one.name], one.dtype) for one in spec.inputs}

    def _call(self, feeds: Arrays, wanted: Sequence[TensorSpec]) -> dict[str, NDArray[Any]]:
        spec = self._spec
        try:
            arrays = self._session.run(feeds, [one.name for one in wanted])
        except ModelError as error:
            raise ModelError(f"network {spec.name} {error}") from error
        number = len(next(iter(feeds.values())))
        for one, array in zip(wanted, arrays, strict=True):
            if array.shape[:1] != (number,) or not _fits(array.shape[1:], one.shape(spec.patch)):
                raise ModelError(
                    f"network {spec.name} gave {array.shape} as {one.name!r} where its manifest "
                    f"says {_in_words(one.shape(spec.patch))}"
                )
            if array.dtype.kind == "f" and not _is_finite(array):
                raise ModelError(f"network {spec.name} gave values that are no numbers")
        return {one.name: array for one, array in zip(wanted, arrays, strict=True)}


def _is_finite(array: NDArray[Any]) -> bool:
    """One NaN or infinity makes the sum so; cheaper than a mask of the whole output."""
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum of a narrow type is quicker, but may leave its range.
        return bool(np.isfinite(array.sum()) or np.isfinite(array.sum(dtype=np.float64)))


def _read(spec: NetworkSpec) -> bytes:
    try:
        model = spec.path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"network {spec.name}: {spec.path} cannot be read ({error.strerror}); install the "
            "package again"
        ) from error
    digest = hashlib.sha256(model).hexdigest()
    if digest != spec.sha256:
        raise ModelError(
            f"network {spec.name}: {spec.path} has SHA-256 {digest}, the manifest says "
            f"{spec.sha256}; install the package again"
        )
    return model


def _check_tensors(spec: NetworkSpec, session: Session) -> None:
    """The file has exactly the inputs of the manifest, and at least its outputs."""
    inputs = {one.name: one for one in session.inputs}
    wanted = [one.name for one in spec.inputs]
    if sorted(inputs) != sorted(wanted):
        raise ModelError(
            f"network {spec.name} has the inputs {[*inputs]}, its manifest says {wanted}"
        )
    outputs = {one.name: one for one in session.outputs}
    for one in spec.outputs:
        if one.name not in outputs:
            raise ModelError(
                f"network {spec.name} has the outputs {[*outputs]}, its manifest says {one.name!r}"
            )
    for role, stated, found in (("input", spec.inputs, inputs), ("output", spec.outputs, outputs)):
        for one in stated:
            _check_tensor(spec, role, one, found[one.name])


def _check_tensor(spec: NetworkSpec, role: str, stated: TensorSpec, found: Tensor) -> None:
    """The stated type, a free batch axis, and the stated sizes wherever the file fixes one."""
    where = f"{role} {found.name!r} of network {spec.name}"
    expected = stated.shape(spec.patch)
    if found.dtype != stated.dtype:
        raise ModelError(f"{where} holds {found.dtype}, its manifest says {stated.dtype}")
    if len(found.shape) != len(expected) + 1:
        raise ModelError(
            f"{where} has {len(found.shape)} axes, its manifest says {_in_words(expected)}"
        )
    if found.shape[0] is not None:
        raise ModelError(
            f"{where} fixes its batch to {found.shape[0]}; export it with a dynamic batch"
        )
    pairs = zip(found.shape[1:], expected, strict=True)
    if any(size is not None and wanted is not None and size != wanted for size, wanted in pairs):
        raise ModelError(
            f"{where} has shape {_in_words(found.shape[1:])}, its manifest says "
            f"{_in_words(expected)}"
        )


def _fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    return len(shape) == len(expected) and all(
        wanted is None or size == wanted for size, wanted in zip(shape, expected, strict=True)
    )


def _in_words(shape: Sequence[int | None]) -> str:
    """`(n, 1, 96, 96)`, without the batch axis in `shape`."""
    return f"({', '.join(('n', *('any' if size is None else str(size) for size in shape)))})"
