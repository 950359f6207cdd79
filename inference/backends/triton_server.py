"""Networks that an NVIDIA Triton Inference Server runs, through its own client (BSD-3-Clause).

For sites that have a GPU farm. The server holds its own copy of the weights, which no digest of
ours covers: the golden case of the package is what proves it. Windows of images leave this
computer, so the way to the server has to lie inside the hospital's network, or use TLS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, triton_to_np_dtype

from config.runtimes import PROVIDERS
from inference.backends.base import Arrays, Opening, Session, Tensor, TritonSettings
from node.domain.errors import ModelError, WorkerError

#: gRPC status codes that say nothing about the network: the server or the way to it.
_UNREACHABLE = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")


class _Triton:
    """`inference.backends.base.Backend`."""

    def open(self, opening: Opening) -> Session:
        """Ask the server for a network and its tensors."""
        settings = opening.triton
        if settings is None:
            raise ModelError(
                "Triton: no server is configured; add 'triton: {host: ...}' below 'workers:'"
            )
        if settings.ca_file is None and settings.tls:
            client = triton.InferenceServerClient(url=settings.url, ssl=True)
        elif settings.ca_file is not None:
            client = triton.InferenceServerClient(
                url=settings.url, ssl=True, root_certificates=str(settings.ca_file)
            )
        else:
            client = triton.InferenceServerClient(url=settings.url)
        name = settings.name_of(opening.package, opening.spec.name)
        try:
            return TritonSession(client, name, settings)
        except WorkerError as error:
            raise ModelError(str(error)) from error


BACKEND = _Triton()


class TritonSession:
    """`inference.backends.base.Session` over one model of a server's repository."""

    provider = PROVIDERS["triton"]

    def __init__(self, client: Any, name: str, settings: TritonSettings) -> None:  # noqa: ANN401
        self._client = client
        self._name = name
        self._settings = settings
        try:
            if not client.is_model_ready(name, client_timeout=settings.connect_timeout_s):
                raise ModelError(
                    f"Triton at {settings.url} has no model '{name}' that is ready; put it into "
                    "its model repository, or name it below workers.triton.models"
                )
            metadata = client.get_model_metadata(
                name, client_timeout=settings.connect_timeout_s, as_json=True
            )
            configuration = client.get_model_config(
                name, client_timeout=settings.connect_timeout_s, as_json=True
            )
        except InferenceServerException as error:
            raise self._told(error) from error
        self.inputs = tuple(_tensor(one) for one in metadata.get("inputs", ()))
        self.outputs = tuple(_tensor(one) for one in metadata.get("outputs", ()))
        limit = int(configuration.get("config", {}).get("max_batch_size", 0))
        #: 0: the server does not batch by itself, and takes any number.
        self.largest_batch = limit

    def run(self, feeds: Arrays, wanted: Sequence[str]) -> tuple[NDArray[Any], ...]:
        """One request, or several where the server takes smaller batches."""
        number = len(next(iter(feeds.values())))
        step = min(number, self.largest_batch or number)
        parts = [
            self._request({name: array[at : at + step] for name, array in feeds.items()}, wanted)
            for at in range(0, number, step)
        ]
        if len(parts) == 1:
            return parts[0]
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

    def _request(self, feeds: Arrays, wanted: Sequence[str]) -> tuple[NDArray[Any], ...]:
        inputs = []
        for name, array in feeds.items():
            tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(np.ascontiguousarray(array))
            inputs.append(tensor)
        try:
            reply = self._client.infer(
                self._name,
                inputs,
                outputs=[triton.InferRequestedOutput(name) for name in wanted],
                client_timeout=self._settings.time_limit_s,
            )
        except InferenceServerException as error:
            raise self._told(error) from error
        arrays = [reply.as_numpy(name) for name in wanted]
        absent = [name for name, array in zip(wanted, arrays, strict=True) if array is None]
        if absent:
            raise ModelError(f"failed on Triton: it gave no {', '.join(absent)}")
        return tuple(array for array in arrays if array is not None)

    def _told(self, error: InferenceServerException) -> ModelError | WorkerError:
        """A server that does not answer is tried again; one that refuses is believed."""
        status = str(error.status() or "")
        first = (error.message() or "").splitlines()
        why = first[0] if first else status
        where = f"Triton at {self._settings.url}, model '{self._name}'"
        if any(code in status for code in _UNREACHABLE):
            return WorkerError(
                f"{where} does not answer ({why}); see that the server runs and can be reached"
            )
        return ModelError(f"failed on {where}: {why}")


def _tensor(metadata: Mapping[str, Any]) -> Tensor:
    """As the server describes it; -1 is a size that is left open."""
    dtype = triton_to_np_dtype(metadata.get("datatype", ""))
    return Tensor(
        name=str(metadata.get("name", "")),
        dtype=np.dtype(dtype).name if dtype is not None else str(metadata.get("datatype")),
        # JSON of Protocol Buffers has 64-bit numbers as text.
        shape=tuple(None if int(size) < 0 else int(size) for size in metadata.get("shape", ())),
    )
