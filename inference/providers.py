"""Which execution providers a network is offered, in the configured order.

`onnxruntime.get_available_providers()` lists what was compiled in, not what works: on a host
without a driver the GPU build still lists CUDA and TensorRT. So libraries are probed before,
and after a session was made only `session.get_providers()` is believed
(inference/backends/onnx_runtime.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnxruntime

from config.runtimes import FP32, LOWERED, PROVIDERS
from models.manifest import NetworkSpec
from node.domain.errors import ModelError

#: What must load before a provider can; the versions ONNX Runtime 1.31-1.32 is linked to.
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "tensorrt": ("libcuda.so.1", "libnvinfer.so.10", "libnvonnxparser.so.10"),
    "cuda": ("libcuda.so.1", "libcudnn.so.9"),
}
#: Optional packages: configured word, which is our extra as well -> (distribution, requirement).
PACKAGES: Mapping[str, tuple[str, str]] = {
    "openvino": ("openvino", "openvino>=2026.4,<2027"),
    "triton": ("tritonclient", "tritonclient[grpc]>=2.73,<3"),
}
_ON_GPU = frozenset({"tensorrt", "cuda"})
#: What computes around the networks: steps before and behind them rest on it.
_COMPUTES = ("numpy", "scipy", "connected-components-3d")
#: Import name of the wheel that holds libnvinfer.
TENSORRT_WHEEL = "tensorrt_libs"
#: Items of a bag that a TensorRT engine is built for.
_USUAL_BAG = 1024
_LARGEST_BAG = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What this computer has.

    Attributes:
        compiled: what ONNX Runtime was built with, by its own names.
        missing: libraries of `LIBRARIES` that cannot be loaded.
        runtime: version of ONNX Runtime. tensorrt, cuda: versions, "" when absent.
        gpu: name and compute capability of the first GPU, "" without one.
        packages: optional packages that are installed, by configured word, with their versions.
        computes: packages that compute around the networks, with their versions.
        processor: model name of the CPU.
    """

    compiled: tuple[str, ...]
    missing: frozenset[str] = frozenset()
    runtime: str = ""
    tensorrt: str = ""
    cuda: str = ""
    gpu: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    computes: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""

    @property
    def fingerprint(self) -> str:
        """Everything here that can change what a network computes; another text, another proof."""
        parts = [f"onnxruntime {self.runtime}", f"processor {self.processor}"]
        for versions in (self.packages, self.computes):
            parts += [f"{name} {version}" for name, version in sorted(versions.items())]
        if self.gpu:
            parts += [f"gpu {self.gpu}", f"driver {self.cuda}", f"tensorrt {self.tensorrt}"]
        return "; ".join(parts)

    def lacks(self, provider: str) -> str:
        """Why a provider (by its configured word) cannot be used here; "" when it may work."""
        if provider in PACKAGES:
            if provider in self.packages:
                return ""
            distribution, requirement = PACKAGES[provider]
            return f"the package {distribution} is not installed: pip install '{requirement}'"
        absent = [name for name in LIBRARIES.get(provider, ()) if name in self.missing]
        if absent:
            return f"{absent[0]} cannot be loaded"
        if PROVIDERS[provider] not in self.compiled:
            return "this ONNX Runtime was built without it; install onnxruntime-gpu instead"
        if provider in _ON_GPU and not self.gpu:
            return "no GPU answers"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One provider to run a network on.

    Attributes:
        word: as it is configured. name: as it is reported when it runs.
        precision: "fp32", or what the package allows to compute in instead.
        options: text pairs for ONNX Runtime.
        engines: folder of its compiled engines, or None when nothing is kept.
    """

    word: str
    name: str
    precision: str = FP32
    options: Mapping[str, str] = field(default_factory=dict)
    engines: Path | None = None

    @property
    def label(self) -> str:
        """`tensorrt/fp16`: how it is barred, and told."""
        return self.word if self.precision == FP32 else f"{self.word}/{self.precision}"

    @property
    def tolerance_key(self) -> str:
        """`TensorrtExecutionProvider/fp16`: the tolerance that its golden case must keep."""
        return self.name if self.precision == FP32 else f"{self.name}/{self.precision}"

    @property
    def is_to_be_built(self) -> bool:
        """True while the engine that it needs is not there."""
        return self.engines is not None and not self.engines.is_dir()

    def with_site(self, site: Mapping[str, str]) -> Choice:
        """The same with options that the site adds; an engine for other ones lies elsewhere."""
        if not site:
            return self
        changed = replace(self, options={**site, **self.options})
        if self.engines is None:
            return changed
        told = " ".join(f"{name}={site[name]}" for name in sorted(site))
        digest = hashlib.sha256(told.encode()).hexdigest()[:8]
        return changed.built_in(self.engines.with_name(f"{self.engines.name}-{digest}"))

    def built_in(self, folder: Path) -> Choice:
        """The same with its engines in another folder."""
        options = {
            key: str(folder) if value == str(self.engines) else value
            for key, value in self.options.items()
        }
        return replace(self, options=options, engines=folder)


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
        packages=dict(_installed_packages()),
        computes=dict(_versions_of(_COMPUTES)),
        processor=_processor(),
    )


def _installed_packages() -> Iterator[tuple[str, str]]:
    """Optional packages with their versions; none is imported."""
    for word, (distribution, _) in PACKAGES.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield word, importlib.metadata.version(distribution)


def _versions_of(distributions: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def none_works(order: Sequence[str], found: Probe) -> str:
    """Why no provider of the list works on a computer; "" when one may."""
    reasons = {word: found.lacks(word) for word in dict.fromkeys(order)}
    if not all(reasons.values()):
        return ""
    return "; ".join(f"{word}: {reason}" for word, reason in reasons.items())


def asked_in_vain(
    order: Sequence[str], found: Probe, *, gpu_is_named: bool = False
) -> dict[str, str]:
    """Optional runtimes that the list names and this computer lacks: word -> why, and the remedy.

    TensorRT and CUDA stand in the list by default and are passed over in silence, unless the site
    names its GPUs.
    """
    asked = PACKAGES.keys() | (_ON_GPU if gpu_is_named else frozenset())
    lacking = {word: found.lacks(word) for word in order if word in asked}
    return {word: why for word, why in lacking.items() if why}


def choose(
    order: Sequence[str],
    found: Probe,
    spec: NetworkSpec,
    cache_folder: Path | None,
    barred: Collection[str] = (),
) -> tuple[Choice, ...]:
    """The providers to try for a network, best first; a pure function.

    Each configured word stands once for each precision that the package allows and the provider
    can lower to, first choice first.

    Args:
        order: configured words. What this computer lacks is passed over, as is what the
            package states no tolerance for: it could not be proved.
        cache_folder: where TensorRT's engines are kept; None builds them at every start.
        barred: labels of choices that failed here before.

    Raises:
        ModelError: none of them can be used here.
    """
    choices: list[Choice] = []
    reasons: dict[str, str] = {}
    for word in dict.fromkeys(order):
        reasons[word] = found.lacks(word)
        if reasons[word]:
            continue
        possible = [
            _choice(word, precision, found, spec, cache_folder)
            for precision in spec.precisions
            if precision == FP32 or precision in LOWERED.get(word, ())
        ]
        provable = [one for one in possible if one.tolerance_key in spec.tolerance]
        fit = [one for one in provable if one.label not in barred]
        choices += fit
        if not provable:
            reasons[word] = f"model.yaml states no tolerance for {PROVIDERS[word]}"
        elif not fit:
            reasons[word] = "it failed here before"
    if not choices:
        told = "; ".join(f"{word}: {reason}" for word, reason in reasons.items())
        raise ModelError(
            f"no execution provider for network {spec.name}: {told} - add cpu to "
            "workers.providers or mend what is named"
        )
    return tuple(choices)


def engine_folder(
    cache_folder: Path, found: Probe, spec: NetworkSpec, precision: str = FP32
) -> Path:
    """Where the engine of exactly this network, software, GPU, precision and shape lies.

    ONNX Runtime never invalidates an engine itself, so everything it depends on is in the name.
    """
    shapes = hashlib.sha256(" ".join(_profiles(spec).values()).encode()).hexdigest()[:8]
    gpu = "".join(c if c.isalnum() else "_" for c in found.gpu)
    parts = (f"ort{found.runtime}", f"trt{found.tensorrt}", f"cuda{found.cuda}", gpu)
    return cache_folder / spec.sha256[:16] / "-".join((*parts, precision, shapes))


def _choice(
    word: str, precision: str, found: Probe, spec: NetworkSpec, cache_folder: Path | None
) -> Choice:
    choice = Choice(word=word, name=PROVIDERS[word], precision=precision)
    if word == "cuda":
        # TF32 keeps 10 bits of mantissa; the golden tolerance is meant for float32.
        return replace(choice, options={"use_tf32": "0"})
    if word != "tensorrt":
        return choice
    options = {
        "trt_fp16_enable": str(int(precision == "fp16")),
        "trt_bf16_enable": str(int(precision == "bf16")),
        **_profiles(spec),
    }
    if cache_folder is None:
        return replace(choice, options=options)
    folder = engine_folder(cache_folder, found, spec, precision)
    options |= {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
    return replace(choice, options=options, engines=folder)


def _profiles(spec: NetworkSpec) -> dict[str, str]:
    """A fixed patch and a batch of 1 to `batch`: one engine for every call.

    A bag has any number of items: from 1 to `_LARGEST_BAG`, most often `_USUAL_BAG`.
    """
    bags = {"min": 1, "opt": _USUAL_BAG, "max": _LARGEST_BAG}
    batches = {"min": 1, "opt": spec.batch, "max": spec.batch}
    return {
        f"trt_profile_{bound}_shapes": ",".join(
            f"{one.name}:{batch}x"
            + "x".join(str(bags[bound] if size is None else size) for size in one.shape(spec.patch))
            for one in spec.inputs
        )
        for bound, batch in batches.items()
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
