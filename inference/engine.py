"""A network of a package, loaded and kept: ONNX Runtime on TensorRT, CUDA or CPU.

The file's digest, the names and the shapes are checked when it is opened, the shape and the
finiteness of every output when it is run. What really runs it is asked of the session.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from inference.providers import Choice, choose, probe
from inference.windows import Windowing, run_stack
from models.manifest import NetworkSpec
from node.domain.errors import ModelError
from node.domain.imaging import Network

#: Everything ONNX Runtime raises; its exceptions have no base of their own.
ORT_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NotFound,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
#: The folder of the engines may not be writable.
_OPENING_ERRORS: tuple[type[Exception], ...] = (*ORT_ERRORS, OSError)
#: Only what ends the process is written to standard error; the rest is raised.
_SILENT = 4
_OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory", "out of memory")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How networks are run on this computer.

    Attributes:
        providers: "tensorrt", "cuda", "cpu", best first; what is lacking is passed over.
        threads: of one network call on the CPU; None for one a core.
        cache_folder: where compiled TensorRT engines are kept; None keeps none.
    """

    providers: tuple[str, ...] = ("cpu",)
    threads: int | None = None
    cache_folder: Path | None = None


def open_network(spec: NetworkSpec, options: EngineOptions) -> Network:
    """Load a network on the first provider that takes it.

    Raises:
        ModelError: the file is missing, is not the one the manifest names, is no network of
            the stated names and shapes, or no configured provider can run it.
    """
    model = _read(spec)
    choices = choose(options.providers, probe(), spec, options.cache_folder)
    session = _open_session(spec, model, choices, options.threads)
    _check_input(spec, session)
    _check_output(spec, session)
    return OnnxNetwork(spec, session)


class OnnxNetwork:
    """`node.domain.imaging.Network` over an ONNX Runtime session; safe to call from threads."""

    def __init__(self, spec: NetworkSpec, session: onnxruntime.InferenceSession) -> None:
        self._spec = spec
        self._session = session
        self._windowing = Windowing.of(spec.patch, spec.windows)

    @property
    def name(self) -> str:
        """Name of the network in its package's manifest."""
        return self._spec.name

    @property
    def provider(self) -> str:
        """What runs it, as the session reports it."""
        return str(self._session.get_providers()[0])

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, channel, *patch) float32 -> (n, class, *patch) float32, in calls of <= batch.

        Raises:
            ModelError: the input has another shape, the runtime failed, or the output is not
                finite. MemoryError: there was not enough.
        """
        spec = self._spec
        expected = (len(spec.channels), *spec.patch)
        if inputs.shape[1:] != expected or len(inputs) == 0:
            raise ModelError(
                f"network {spec.name} takes (n, {', '.join(map(str, expected))}), "
                f"got {inputs.shape}"
            )
        inputs = np.ascontiguousarray(inputs, np.float32)
        calls = range(0, len(inputs), spec.batch)
        outputs = [self._call(inputs[at : at + spec.batch]) for at in calls]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def run_windows(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(channel, *spatial) float32 -> (class, *spatial) float32, weighted mean of windows."""
        output: NDArray[np.float32] = self.run_stack(image[np.newaxis])[0]
        return output

    def run_stack(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(image, channel, *spatial) -> (image, class, *spatial); for 2-D networks (slice, ...).

        Each image is windowed on its own; windows of several images share a call.
        """
        spec = self._spec
        if images.ndim != len(spec.patch) + 2 or images.shape[1] != len(spec.channels):
            raise ModelError(
                f"network {spec.name} takes images of {len(spec.channels)} channel(s) and "
                f"{len(spec.patch)} axes, got {images.shape[1:]}"
            )
        return run_stack(self._call, images, self._windowing)

    def _call(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        spec = self._spec
        try:
            results = self._session.run([spec.output_name], {spec.input_name: inputs})
        except ORT_ERRORS as error:
            raise _failure(f"network {spec.name} failed on {self.provider}", error) from error
        output: NDArray[np.float32] = results[0]
        expected = (len(inputs), len(spec.classes), *spec.patch)
        if output.shape != expected:
            raise ModelError(
                f"network {spec.name} gave {output.shape} where its manifest says {expected}"
            )
        # One NaN or infinity makes the sum so; cheaper than a mask of the whole output.
        if not np.isfinite(output.sum(dtype=np.float64)):
            raise ModelError(f"network {spec.name} gave values that are no numbers")
        return output


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


def _open_session(
    spec: NetworkSpec, model: bytes, choices: Sequence[Choice], threads: int | None
) -> onnxruntime.InferenceSession:
    """The best provider that opens the network; the ones after it run what it cannot."""
    reasons = []
    for at, first in enumerate(choices):
        try:
            with _engine_building(first) as final:
                offered = [(item.name, dict(item.options)) for item in (final, *choices[at + 1 :])]
                session = onnxruntime.InferenceSession(
                    model, _session_options(threads), offered, enable_fallback=0
                )
        except _OPENING_ERRORS as error:
            reasons.append(str(_failure(first.name, error)))
            continue
        # The runtime leaves out what does not load without a word, and always adds the CPU.
        running = session.get_providers()[0]
        if running in {item.name for item in choices[at:]}:
            return session
        reasons.append(f"{first.name}: did not load")
    raise ModelError(f"network {spec.name} cannot be opened: {'; '.join(reasons)}")


@contextmanager
def _engine_building(choice: Choice) -> Iterator[Choice]:
    """Build a TensorRT engine aside and move it into place, so that half an engine is never read.

    One process builds, others wait and then load what it built.
    """
    if choice.engines is None:
        yield choice
        return
    choice.engines.parent.mkdir(parents=True, exist_ok=True)
    with choice.engines.with_name(f"{choice.engines.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if choice.engines.is_dir():
            yield choice
            return
        building = Path(tempfile.mkdtemp(dir=choice.engines.parent, prefix="building-"))
        try:
            options = {
                key: str(building) if value == str(choice.engines) else value
                for key, value in choice.options.items()
            }
            yield Choice(name=choice.name, options=options, engines=building)
            if any(building.iterdir()):
                building.rename(choice.engines)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _session_options(threads: int | None) -> onnxruntime.SessionOptions:
    cores = len(os.sched_getaffinity(0))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads or cores
    options.inter_op_num_threads = 1
    if options.intra_op_num_threads < cores:
        # Threads that wait by spinning take the cores of the other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_input(spec: NetworkSpec, session: onnxruntime.InferenceSession) -> None:
    inputs = session.get_inputs()
    names = [item.name for item in inputs]
    if names != [spec.input_name]:
        raise ModelError(
            f"network {spec.name} has the inputs {names}, its manifest says {spec.input_name!r}"
        )
    _check_tensor(spec, "input", inputs[0], (len(spec.channels), *spec.patch))


def _check_output(spec: NetworkSpec, session: onnxruntime.InferenceSession) -> None:
    outputs = {item.name: item for item in session.get_outputs()}
    if spec.output_name not in outputs:
        raise ModelError(
            f"network {spec.name} has the outputs {list(outputs)}, its manifest says "
            f"{spec.output_name!r}"
        )
    _check_tensor(spec, "output", outputs[spec.output_name], (len(spec.classes), *spec.patch))


def _check_tensor(
    spec: NetworkSpec,
    role: str,
    tensor: Any,  # noqa: ANN401 - onnxruntime.NodeArg has no types
    expected: tuple[int, ...],
) -> None:
    """Element type float, a free batch axis, and the stated sizes wherever the file fixes one."""
    shape = list(tensor.shape)
    where = f"{role} {tensor.name!r} of network {spec.name}"
    if tensor.type != "tensor(float)":
        raise ModelError(f"{where} holds {tensor.type}, not tensor(float)")
    if len(shape) != len(expected) + 1:
        raise ModelError(f"{where} has shape {shape}, its manifest says (n, *{expected})")
    if isinstance(shape[0], int):
        raise ModelError(f"{where} fixes its batch to {shape[0]}; export it with a dynamic batch")
    stated = zip(shape[1:], expected, strict=True)
    if any(isinstance(size, int) and size != wanted for size, wanted in stated):
        raise ModelError(f"{where} has shape {shape}, its manifest says (n, *{expected})")


def _failure(what: str, error: Exception) -> ModelError:
    """The runtime's own words, or MemoryError where they say so (its text holds no pixels)."""
    text = str(error)
    if any(sign in text for sign in _OUT_OF_MEMORY):
        raise MemoryError(text) from error
    return ModelError(f"{what}: {text.splitlines()[0] if text else type(error).__name__}")
