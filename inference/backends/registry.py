"""Runtimes by the words of `workers.providers`; imported when they are used, not before."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from config.runtimes import PROVIDERS
from inference.backends.base import Backend
from inference.providers import PACKAGES
from node.domain.errors import ModelError

#: Configured word -> module that holds `BACKEND`.
_MODULES: Mapping[str, str] = {
    "tensorrt": "inference.backends.onnx_runtime",
    "cuda": "inference.backends.onnx_runtime",
    "cpu": "inference.backends.onnx_runtime",
    "openvino": "inference.backends.openvino_cpu",
    "triton": "inference.backends.triton_server",
}
assert _MODULES.keys() == PROVIDERS.keys()


def backend_of(word: str) -> Backend:
    """The runtime behind a configured word.

    Raises:
        ModelError: its package is not installed.
    """
    try:
        backend: Backend = importlib.import_module(_MODULES[word]).BACKEND
    except ImportError as error:
        raise ModelError(
            f"{word} needs a package that is not installed ({error.name}); run pip install "
            f"'{PACKAGES.get(word, (word, word))[1]}', or take it out of workers.providers"
        ) from error
    return backend
