"""Which execution providers a network is offered: TensorRT, CUDA, CPU, in the configured order.

`onnxruntime.get_available_providers()` lists what was compiled in, not what works: on a host
without a driver the GPU build still lists CUDA and TensorRT. So libraries are probed before,
and after a session was made only `session.get_providers()` is believed (inference/engine.py).
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnxruntime

from models.manifest import NetworkSpec
from node.domain.errors import ModelError

#: Configured word -> what ONNX Runtime calls it.
PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
#: What must load before a provider can; the versions ONNX Runtime 1.31-1.32 is linked to.
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "tensorrt": ("libcuda.so.1", "libnvinfer.so.10", "libnvonnxparser.so.10"),
    "cuda": ("libcuda.so.1", "libcudnn.so.9"),
    "cpu": (),
}
#: Import name of the wheel that holds libnvinfer.
TENSORRT_WHEEL = "tensorrt_libs"
#: Only full float32 is offered; TensorRT in float16 is known to break instance normalisation.
PRECISION = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What this computer has.

    Attributes:
        compiled: what ONNX Runtime was built with, by its own names.
        missing: libraries of `LIBRARIES` that cannot be loaded.
        runtime: version of ONNX Runtime. tensorrt, cuda: versions, "" when absent.
        gpu: name and compute capability of the first GPU, "" without one.
    """

    compiled: tuple[str, ...]
    missing: frozenset[str] = frozenset()
    runtime: str = ""
    tensorrt: str = ""
    cuda: str = ""
    gpu: str = ""

    def lacks(self, provider: str) -> str:
        """Why a provider (by its configured word) cannot be used here; "" when it may work."""
        absent = [name for name in LIBRARIES[provider] if name in self.missing]
        if absent:
            return f"{absent[0]} cannot be loaded"
        if PROVIDERS[provider] not in self.compiled:
            return "this ONNX Runtime was built without it; install onnxruntime-gpu instead"
        if provider != "cpu" and not self.gpu:
            return "no GPU answers"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One provider to offer to a session.

    Attributes:
        name: as ONNX Runtime calls it. options: text pairs for it.
        engines: folder of its compiled engines, or None when nothing is kept.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    engines: Path | None = None


def probe() -> Probe:
    """Look at this computer; nothing is printed and no session is made."""
    wanted = dict.fromkeys(name for names in LIBRARIES.values() for name in names)
    loaded = {}
    for name in wanted:
        # CUDA's own libraries may come from wheels, which only ONNX Runtime knows to find.
        if name == "libcudnn.so.9" and "libcuda.so.1" in loaded:
            _preload_wheels()
        library = _load(name)
        if library is not None:
            loaded[name] = library
    driver = loaded.get("libcuda.so.1")
    return Probe(
        compiled=tuple(onnxruntime.get_available_providers()),
        missing=frozenset(wanted.keys() - loaded.keys()),
        runtime=onnxruntime.__version__,
        tensorrt=_tensorrt_version(loaded.get("libnvinfer.so.10")),
        cuda=_driver_version(driver),
        gpu=_gpu(driver),
    )


def none_works(order: Sequence[str], found: Probe) -> str:
    """Why no provider of the list works on a computer; "" when one may."""
    reasons = {word: found.lacks(word) for word in dict.fromkeys(order)}
    if not all(reasons.values()):
        return ""
    return "; ".join(f"{word}: {reason}" for word, reason in reasons.items())


def choose(
    order: Sequence[str], found: Probe, spec: NetworkSpec, cache_folder: Path | None
) -> tuple[Choice, ...]:
    """The providers to offer for a network, best first; a pure function.

    Args:
        order: configured words, "tensorrt", "cuda", "cpu". What this computer lacks is
            passed over.
        cache_folder: where TensorRT's engines are kept; None builds them at every start.

    Raises:
        ModelError: none of them can be used here.
    """
    told = none_works(order, found)
    usable = [word for word in dict.fromkeys(order) if not found.lacks(word)]
    if told:
        raise ModelError(
            f"no execution provider for network {spec.name}: {told} - add cpu to "
            "workers.providers or mend the GPU's software"
        )
    return tuple(_choice(word, found, spec, cache_folder) for word in usable)


def engine_folder(cache_folder: Path, found: Probe, spec: NetworkSpec) -> Path:
    """Where the engine of exactly this network, software, GPU, precision and shape lies.

    ONNX Runtime never invalidates an engine itself, so everything it depends on is in the name.
    """
    shapes = hashlib.sha256(" ".join(_profiles(spec).values()).encode()).hexdigest()[:8]
    gpu = "".join(c if c.isalnum() else "_" for c in found.gpu)
    parts = (f"ort{found.runtime}", f"trt{found.tensorrt}", f"cuda{found.cuda}", gpu)
    return cache_folder / spec.sha256[:16] / "-".join((*parts, PRECISION, shapes))


def _choice(word: str, found: Probe, spec: NetworkSpec, cache_folder: Path | None) -> Choice:
    name = PROVIDERS[word]
    if word == "cuda":
        # TF32 keeps 10 bits of mantissa; the golden tolerance is meant for float32.
        return Choice(name=name, options={"use_tf32": "0"})
    if word != "tensorrt":
        return Choice(name=name)
    options = {"trt_fp16_enable": "0", **_profiles(spec)}
    if cache_folder is None:
        return Choice(name=name, options=options)
    folder = engine_folder(cache_folder, found, spec)
    options |= {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
    return Choice(name=name, options=options, engines=folder)


def _profiles(spec: NetworkSpec) -> dict[str, str]:
    """A fixed patch and a batch of 1 to `batch`: one engine for every call."""
    patch = "x".join(str(size) for size in (len(spec.channels), *spec.patch))
    return {
        f"trt_profile_{bound}_shapes": f"{spec.input_name}:{batch}x{patch}"
        for bound, batch in (("min", 1), ("opt", spec.batch), ("max", spec.batch))
    }


def _load(name: str) -> ctypes.CDLL | None:
    """From the loader's path, or from TensorRT's wheel, which is not on that path.

    What is loaded once is found by its name when ONNX Runtime asks for it later.
    """
    wheel = importlib.util.find_spec(TENSORRT_WHEEL)
    folders = list(wheel.submodule_search_locations or ()) if wheel else []
    for candidate in (name, *(str(Path(folder, name)) for folder in folders)):
        try:
            return ctypes.CDLL(candidate)
        except OSError:
            continue
    return None


def _preload_wheels() -> None:
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None and PROVIDERS["cuda"] in onnxruntime.get_available_providers():
        preload()


def _tensorrt_version(library: ctypes.CDLL | None) -> str:
    return str(library.getInferLibVersion()) if library is not None else ""


def _driver_version(driver: ctypes.CDLL | None) -> str:
    version = ctypes.c_int()
    if driver is None or driver.cuDriverGetVersion(ctypes.byref(version)):
        return ""
    return str(version.value)


def _gpu(driver: ctypes.CDLL | None) -> str:
    """ "NVIDIA H100 sm90", or "" when the driver finds none."""
    device = ctypes.c_int()
    if driver is None or driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return ""
    name = ctypes.create_string_buffer(100)
    driver.cuDeviceGetName(name, len(name), device)
    capability = []
    # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h.
    for attribute in (75, 76):
        value = ctypes.c_int()
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(str(value.value))
    return f"{name.value.decode('ascii', 'replace')} sm{''.join(capability)}"
