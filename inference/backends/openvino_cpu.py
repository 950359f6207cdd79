"""OpenVINO on the CPU, through the plain `openvino` package (Apache-2.0).

Often faster than ONNX Runtime on convolutional networks, also on processors of other makers. The
provider plug-ins of ONNX Runtime for it are not used: one shares ONNX Runtime's import name, the
other lists no device on such processors.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.runtimes import PROVIDERS
from inference.backends.base import Arrays, Opening, Session, Tensor, failure
from models.manifest import NetworkSpec

# Its converter, which is imported with it, would report its use; without this module it cannot.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

#: What the CPU plug-in computes in, by the word of the package.
_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class _OpenVino:
    """`inference.backends.base.Backend`."""

    def open(self, opening: Opening) -> Session:
        """Compile a network for the CPU, its patch fixed, its batch free up to the batch."""
        spec = opening.spec
        try:
            core = openvino.Core()
            model = core.read_model(model=opening.model)
            tensors = tuple(_tensor(port) for port in model.inputs)
            outputs = tuple(_tensor(port) for port in model.outputs)
            _fix_patch(model, spec)
            compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_NUM_THREADS": opening.threads,
                    "NUM_STREAMS": 1,
                    "PERFORMANCE_HINT": "LATENCY",
                    # Pinned, the threads of several workers would all share the first cores, and
                    # a network would wait there for whatever else runs on them.
                    "ENABLE_CPU_PINNING": False,
                    "INFERENCE_PRECISION_HINT": _PRECISIONS[opening.choice.precision],
                },
            )
        except (RuntimeError, ValueError, TypeError) as error:
            raise failure(opening.choice.name, error) from error
        return OpenVinoSession(compiled, tensors, outputs)


BACKEND = _OpenVino()


class OpenVinoSession:
    """`inference.backends.base.Session` over a compiled model."""

    provider = PROVIDERS["openvino"]

    def __init__(
        self,
        compiled: Any,  # noqa: ANN401 - openvino.CompiledModel
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._request = compiled.create_infer_request()
        # A request has one set of tensors.
        self._lock = threading.Lock()

    def run(self, feeds: Arrays, wanted: Sequence[str]) -> tuple[NDArray[Any], ...]:
        """One call; the outputs are copies, since the next call writes over the tensors."""
        with self._lock:
            try:
                self._request.infer(dict(feeds), share_inputs=True)
                return tuple(np.array(self._request.get_tensor(name).data) for name in wanted)
            except (RuntimeError, ValueError, TypeError) as error:
                raise failure(f"failed on {self.provider}", error) from error


def _fix_patch(model: Any, spec: NetworkSpec) -> None:  # noqa: ANN401 - openvino.Model
    """Known sizes compile to faster code; what does not fit the manifest is told later, by name."""
    ports = {name: port for port in model.inputs for name in port.get_names()}
    shapes = {}
    for one in spec.inputs:
        sizes = [openvino.Dimension(1, spec.batch)]
        sizes += [openvino.Dimension(-1 if n is None else n) for n in one.shape(spec.patch)]
        stated = openvino.PartialShape(sizes)
        if one.name not in ports or not ports[one.name].get_partial_shape().compatible(stated):
            return
        shapes[ports[one.name]] = stated
    if len(shapes) == len(model.inputs):
        model.reshape(shapes)


def _tensor(port: Any) -> Tensor:  # noqa: ANN401 - a port of OpenVINO's own binding
    return Tensor(
        name=min(port.get_names(), default=""),
        dtype=str(np.dtype(port.get_element_type().to_dtype())),
        shape=tuple(
            size.get_length() if size.is_static else None for size in port.get_partial_shape()
        ),
    )
