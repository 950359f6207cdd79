"""ONNX Runtime on TensorRT, CUDA or the CPU: the default.

It leaves out a provider that does not load without a word, so only `session.get_providers()` is
believed. On a GPU, inputs and outputs are bound to its memory, and inputs keep their place.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from config.runtimes import PROVIDERS
from inference.backends.base import Arrays, Opening, Session, Tensor, failure
from inference.providers import Choice
from node.domain.errors import ModelError

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
#: What ONNX Runtime calls element types -> NumPy's words.
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
_ON_GPU = frozenset({PROVIDERS["tensorrt"], PROVIDERS["cuda"]})


class _OnnxRuntime:
    """`inference.backends.base.Backend`."""

    def open(self, opening: Opening) -> Session:
        """Load a network on the provider that was chosen; the rest run what it cannot."""
        choice = opening.choice
        try:
            with engine_building(choice) as final:
                offered = [
                    (item.name, dict(item.options))
                    for item in (final, *opening.rest)
                    if item.word in ("tensorrt", "cuda", "cpu")
                ]
                session = onnxruntime.InferenceSession(
                    opening.model, session_options(opening.threads), offered, enable_fallback=0
                )
                running = str(session.get_providers()[0])
                if running != choice.name:
                    raise ModelError(f"{choice.name}: did not load")
                opened = OnnxSession(session, running)
                if choice.engines is not None:
                    # An engine that is built at the first call has to be built in here.
                    _first_call(opened, opening)
        except _OPENING_ERRORS as error:
            raise failure(choice.name, error) from error
        return opened


BACKEND = _OnnxRuntime()


class OnnxSession:
    """`inference.backends.base.Session` over an ONNX Runtime session."""

    def __init__(self, session: onnxruntime.InferenceSession, provider: str) -> None:
        self._session = session
        self.provider = provider
        self.inputs = tuple(_tensor(item) for item in session.get_inputs())
        self.outputs = tuple(_tensor(item) for item in session.get_outputs())
        self._bound = _Bound(session, "cuda") if provider in _ON_GPU else None

    def run(self, feeds: Arrays, wanted: Sequence[str]) -> tuple[NDArray[Any], ...]:
        """One call."""
        try:
            if self._bound is not None:
                return self._bound.run(feeds, wanted)
            return tuple(self._session.run(list(wanted), dict(feeds)))
        except ORT_ERRORS as error:
            raise failure(f"failed on {self.provider}", error) from error


class _Bound:
    """Calls with inputs and outputs in the memory of the device.

    The buffer of an input is made once for each shape and written over in the next call.
    """

    def __init__(self, session: onnxruntime.InferenceSession, device: str) -> None:
        self._session = session
        self._device = device
        self._buffers: dict[tuple[str, tuple[int, ...]], Any] = {}
        self._lock = threading.Lock()

    def run(self, feeds: Arrays, wanted: Sequence[str]) -> tuple[NDArray[Any], ...]:
        with self._lock:
            binding = self._session.io_binding()
            for name, array in feeds.items():
                binding.bind_ortvalue_input(name, self._filled(name, array))
            for name in wanted:
                binding.bind_output(name, self._device)
            self._session.run_with_iobinding(binding)
            return tuple(binding.copy_outputs_to_cpu())

    def _filled(self, name: str, array: NDArray[Any]) -> Any:  # noqa: ANN401 - OrtValue
        held = self._buffers.get((name, array.shape))
        if held is None:
            held = onnxruntime.OrtValue.ortvalue_from_numpy(array, self._device)
            self._buffers[name, array.shape] = held
        else:
            held.update_inplace(array)
        return held


@contextmanager
def engine_building(choice: Choice) -> Iterator[Choice]:
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
            yield choice.built_in(building)
            if any(building.iterdir()):
                building.rename(choice.engines)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Options that every session has."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # It looks for a format of its own at the fifth byte, which may also stand in a sound ONNX file:
    # what runs has to be what was inspected.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Threads that wait by spinning take the cores of receiving and of the other workers, and where
    # anything else runs they hold up their own network (`python -m bench.monai`).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _first_call(session: OnnxSession, opening: Opening) -> None:
    """Zeros in the largest shape of the profile."""
    spec = opening.spec
    feeds = {
        one.name: np.zeros((spec.batch, *_sizes(one.shape(spec.patch))), one.dtype)
        for one in spec.inputs
    }
    session.run(feeds, [one.name for one in spec.outputs])


def _sizes(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(1 if size is None else size for size in shape)


def _tensor(item: Any) -> Tensor:  # noqa: ANN401 - onnxruntime.NodeArg has no types
    return Tensor(
        name=str(item.name),
        dtype=_DTYPES.get(item.type, str(item.type)),
        shape=tuple(size if isinstance(size, int) else None for size in item.shape),
    )
