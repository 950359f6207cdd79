"""A server that speaks Triton's protocol by the stubs of its own client, with ONNX Runtime behind.

Metadata, configuration, raw binary tensors in both directions, batches larger than the model
takes, and errors by gRPC status, as KServe's protocol version 2 has them.
"""

from __future__ import annotations

import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

_NUMPY = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


class TritonDouble(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """A repository of ONNX files.

    Attributes:
        largest_batch: of every model; 0: no batching by the server.
        delay_s: before each answer to an inference. rows: batch sizes that were asked for.
        disturb: changes an output before it is sent.
    """

    def __init__(self, repository: dict[str, Path], *, largest_batch: int = 0) -> None:
        self.largest_batch = largest_batch
        self.delay_s = 0.0
        self.rows: list[int] = []
        self.disturb = lambda array: array
        self._lock = threading.Lock()
        self._sessions = {
            name: onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            for name, path in repository.items()
        }
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> TritonDouble:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def ModelReady(self, request: Any, context: Any) -> Any:
        return service_pb2.ModelReadyResponse(ready=request.name in self._sessions)

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        session = self._found(request.name, context)
        return service_pb2.ModelMetadataResponse(
            name=request.name,
            platform="onnxruntime_onnx",
            inputs=[self._metadata(one) for one in session.get_inputs()],
            outputs=[self._metadata(one) for one in session.get_outputs()],
        )

    def ModelConfig(self, request: Any, context: Any) -> Any:
        self._found(request.name, context)
        config = model_config_pb2.ModelConfig(name=request.name, max_batch_size=self.largest_batch)
        return service_pb2.ModelConfigResponse(config=config)

    def ModelInfer(self, request: Any, context: Any) -> Any:
        session = self._found(request.model_name, context)
        time.sleep(self.delay_s)
        feeds = {}
        for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
            flat = np.frombuffer(raw, triton_to_np_dtype(tensor.datatype))
            feeds[tensor.name] = flat.reshape(tuple(tensor.shape))
        number = len(next(iter(feeds.values())))
        with self._lock:
            self.rows.append(number)
        if self.largest_batch and number > self.largest_batch:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"inference request batch-size must be <= {self.largest_batch}",
            )
        wanted = [one.name for one in request.outputs]
        arrays = [self.disturb(array) for array in session.run(wanted, feeds)]
        return service_pb2.ModelInferResponse(
            model_name=request.model_name,
            outputs=[
                service_pb2.ModelInferResponse.InferOutputTensor(
                    name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape
                )
                for name, array in zip(wanted, arrays, strict=True)
            ],
            raw_output_contents=[array.tobytes() for array in arrays],
        )

    def _found(self, name: str, context: Any) -> Any:
        if name not in self._sessions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}'")
        return self._sessions[name]

    def _metadata(self, item: Any) -> Any:
        return service_pb2.ModelMetadataResponse.TensorMetadata(
            name=item.name,
            datatype=np_to_triton_dtype(_NUMPY[item.type]),
            shape=[size if isinstance(size, int) else -1 for size in item.shape],
        )
