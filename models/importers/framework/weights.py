"""Loads foreign weights without running foreign code.

`torch.load(weights_only=True)` admits tensors and plain containers only; a pickle that wants
anything else is refused, and the refusal names what it wanted to call. A TorchScript file
(`.ts`) is a program of PyTorch's own interpreter: it runs no Python and reaches no file, but it
is the author's program nevertheless, so it is loaded in this sandbox only, and operators
outside PyTorch's own are refused.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from node.domain.errors import ImportRefused

#: Where the tensors may lie in what was saved.
_WRAPPERS = ("state_dict", "model_state_dict", "network", "network_weights", "model", "net")
_PREFIXES = ("module.", "_orig_mod.")
#: Name spaces of operators that PyTorch itself defines.
_OPERATORS = ("aten", "prim", "prims", "quantized")
_LARGEST_PICKLE = 50_000_000


def load_state(path: Path) -> Mapping[str, torch.Tensor]:
    """The state dictionary in a file.

    Raises:
        ImportRefused: it holds code, no tensors, or cannot be read.
    """
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise _refused(path) from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ImportRefused.once(
            path.name, f"the weights cannot be read ({told})", "download the file again"
        ) from None
    return _tensors(loaded, path)


def is_script(path: Path) -> bool:
    """Is it a TorchScript archive?"""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name or name.startswith("code/") for name in archive.namelist())


def load_script(path: Path) -> torch.jit.ScriptModule:
    """A TorchScript network, once its operators are known to be PyTorch's own.

    Raises:
        ImportRefused: it needs other operators, or cannot be read.
    """
    try:
        module = torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        told = " ".join(str(error).split())[:200]
        foreign = re.search(r"Unknown (?:builtin op|type name)[:\s]*'?([\w:.]+)", told)
        why = f"it needs the operator {foreign[1]}" if foreign else f"it cannot be read ({told})"
        raise ImportRefused.once(path.name, why, "ask for the weights as model.pt") from None
    strange = sorted(
        name
        for name in torch.jit.export_opnames(module)
        if name.partition("::")[0] not in _OPERATORS
    )
    if strange:
        raise ImportRefused.once(
            path.name,
            f"it needs operators that are not PyTorch's own: {', '.join(strange)}",
            "ask for the weights as model.pt",
        )
    return module.eval()


def _safetensors(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError  # noqa: PLC0415 - only for this format
        from safetensors.torch import load_file  # noqa: PLC0415
    except ImportError:
        raise ImportRefused.once(
            path.name, "the import environment lacks safetensors", "run `make import-env` again"
        ) from None
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ImportRefused.once(
            path.name, f"the weights cannot be read ({error})", "download the file again"
        ) from None


def _tensors(found: Any, path: Path) -> Mapping[str, torch.Tensor]:  # noqa: ANN401 - any file
    loaded = found
    for wrapper in _WRAPPERS:
        inner = loaded.get(wrapper) if isinstance(loaded, Mapping) else None
        if isinstance(inner, Mapping):
            loaded = inner
            break
    if not isinstance(loaded, Mapping) or not loaded:
        raise ImportRefused.once(
            path.name,
            f"it holds {type(loaded).__name__}, no state dictionary",
            "save `network.state_dict()`",
        )
    strange = [key for key, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ImportRefused.once(
            path.name,
            f"{len(strange)} entries are no tensors, e.g. {strange[0]!r}",
            "save `network.state_dict()` alone",
        )
    for prefix in _PREFIXES:
        if all(str(key).startswith(prefix) for key in loaded):
            loaded = {str(key).removeprefix(prefix): value for key, value in loaded.items()}
    return dict(loaded)


def _refused(path: Path) -> ImportRefused:
    wanted = [name for name in pickled_names(path) if not name.startswith(("torch", "collections"))]
    calls = ", ".join(wanted[:5]) or "something that is no tensor"
    return ImportRefused.once(
        path.name,
        f"this pickle is code: loading it would call {calls}",
        "it was not loaded; ask its authors for a file with tensors only (a state dictionary or "
        "safetensors), and do not load it elsewhere",
    )


def pickled_names(path: Path) -> tuple[str, ...]:
    """What a pickle imports, read from its opcodes; nothing is unpickled."""
    names: list[str] = []
    for data in _pickles(path):
        texts: list[str] = []
        try:
            for opcode, argument, _ in pickletools.genops(data):
                if opcode.name == "GLOBAL":
                    names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                    names.append(".".join(texts[-2:]))
                elif isinstance(argument, str):
                    texts.append(argument)
        except (ValueError, IndexError, UnicodeDecodeError):
            continue
    return tuple(dict.fromkeys(names))


def _pickles(path: Path) -> list[bytes]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            return [stream.read(_LARGEST_PICKLE)]
    with zipfile.ZipFile(path) as archive:
        return [
            archive.open(name).read(_LARGEST_PICKLE)
            for name in archive.namelist()
            if name.endswith(".pkl")
        ]
