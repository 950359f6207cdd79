"""The providers offered follow the order of the configuration and what the computer has."""

from __future__ import annotations

import _ctypes
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference import engine
from inference.engine import EngineOptions, choices_of
from inference.providers import Probe, asked_in_vain, choose, engine_folder, none_works, probe
from models.manifest import Axes, Windows
from node.domain.errors import ModelError
from tests.inference.specs import network_spec, tensor

ORDER = ("tensorrt", "cuda", "cpu")
TENSORRT = "TensorrtExecutionProvider"
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
WORKSTATION = Probe(
    compiled=(TENSORRT, CUDA, CPU), runtime="1.31.1", tensorrt="101400", cuda="13000", gpu="X sm90"
)
NO_DRIVER = replace(
    WORKSTATION,
    gpu="",
    missing=frozenset({"libcuda.so.1", "libnvinfer.so.10", "libnvonnxparser.so.10"}),
)
CPU_BUILD = Probe(compiled=("AzureExecutionProvider", CPU), missing=frozenset({"libcuda.so.1"}))


def names(order: tuple[str, ...], found: Probe) -> list[str]:
    return [choice.name for choice in choose(order, found, network_spec(), None)]


def test_all_providers_in_the_configured_order_where_all_libraries_load() -> None:
    assert names(ORDER, WORKSTATION) == [TENSORRT, CUDA, CPU]
    assert names(("cuda", "tensorrt", "cpu"), WORKSTATION) == [CUDA, TENSORRT, CPU]
    assert names(("cpu", "cpu"), WORKSTATION) == [CPU]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (NO_DRIVER, [CPU]),
        (CPU_BUILD, [CPU]),
        (replace(WORKSTATION, missing=frozenset({"libnvinfer.so.10"})), [CUDA, CPU]),
        (replace(WORKSTATION, missing=frozenset({"libcudnn.so.9"})), [TENSORRT, CPU]),
        (replace(WORKSTATION, gpu=""), [CPU]),
        (replace(WORKSTATION, compiled=(CUDA, CPU)), [CUDA, CPU]),
    ],
)
def test_what_a_computer_lacks_is_passed_over(found: Probe, expected: list[str]) -> None:
    assert names(ORDER, found) == expected


def test_a_gpu_without_fallback_is_refused_with_the_missing_library_when_it_is_absent() -> None:
    with pytest.raises(ModelError, match=r"cuda: libcuda\.so\.1 cannot be loaded.*add cpu"):
        names(("cuda",), NO_DRIVER)
    with pytest.raises(ModelError, match="install onnxruntime-gpu"):
        names(("cuda",), replace(WORKSTATION, compiled=(CPU,)))


def test_tensorrt_gets_one_engine_for_every_batch_of_a_fixed_patch(tmp_path: Path) -> None:
    spec = network_spec("solid", windows=Windows(overlap=0.5, batch=3))
    choice = choose(("tensorrt",), WORKSTATION, spec, tmp_path)[0]
    assert choice.options["trt_profile_min_shapes"] == "image:1x1x8x8x8"
    assert choice.options["trt_profile_opt_shapes"] == "image:3x1x8x8x8"
    assert choice.options["trt_profile_max_shapes"] == "image:3x1x8x8x8"
    assert choice.options["trt_fp16_enable"] == "0"
    assert choice.options["trt_engine_cache_path"] == str(choice.engines)
    uncached = choose(("tensorrt",), WORKSTATION, spec, None)[0]
    assert uncached.engines is None
    assert "trt_engine_cache_enable" not in uncached.options


def test_an_engine_is_never_reused_when_anything_it_depends_on_changes(tmp_path: Path) -> None:
    spec = network_spec()
    folders = [
        engine_folder(tmp_path, found, changed)
        for found, changed in [
            (WORKSTATION, spec),
            (replace(WORKSTATION, runtime="1.32.0"), spec),
            (replace(WORKSTATION, tensorrt="101600"), spec),
            (replace(WORKSTATION, cuda="13010"), spec),
            (replace(WORKSTATION, gpu="X sm80"), spec),
            (WORKSTATION, replace(spec, sha256="ab" * 32)),
            (WORKSTATION, replace(spec, windows=Windows(overlap=0.5, batch=8))),
            (WORKSTATION, replace(spec, patch=(32, 32))),
            (WORKSTATION, replace(spec, inputs=(tensor("other", "CT"),))),
        ]
    ]
    assert len(set(folders)) == len(folders)
    assert all(folder.is_relative_to(tmp_path) for folder in folders)
    assert engine_folder(tmp_path, WORKSTATION, spec) == folders[0]


def test_options_of_the_site_are_handed_on_and_build_another_engine(tmp_path: Path) -> None:
    choice = choose(("tensorrt",), WORKSTATION, network_spec(), tmp_path)[0]
    quick = choice.with_site({"trt_builder_optimization_level": "1"})
    thorough = choice.with_site({"trt_builder_optimization_level": "5"})
    assert quick.options["trt_builder_optimization_level"] == "1"
    assert quick.options["trt_fp16_enable"] == choice.options["trt_fp16_enable"]
    assert quick.options["trt_engine_cache_path"] == str(quick.engines)
    assert len({choice.engines, quick.engines, thorough.engines}) == 3
    assert choice.with_site({}) == choice


def test_an_option_of_the_site_never_replaces_one_of_the_node() -> None:
    cuda = choose(("cuda",), WORKSTATION, network_spec(), None)[0]
    changed = cuda.with_site({"use_tf32": "1", "gpu_mem_limit": "8000000000"})
    assert changed.options == {"use_tf32": "0", "gpu_mem_limit": "8000000000"}


def test_the_options_of_the_site_reach_the_choices_of_an_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "probe", lambda: WORKSTATION)
    options = EngineOptions(
        providers=("cuda", "cpu"), provider_options={"cuda": {"gpu_mem_limit": "1"}}
    )
    cuda, cpu = choices_of(network_spec(), options)
    assert cuda.options["gpu_mem_limit"] == "1"
    assert "gpu_mem_limit" not in cpu.options


def test_cuda_computes_in_full_float32() -> None:
    assert choose(("cuda",), WORKSTATION, network_spec(), None)[0].options["use_tf32"] == "0"


def test_tensorrt_is_found_in_its_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "libnvinfer.so.10" not in probe().missing:
        pytest.skip("TensorRT is installed here")
    wheel = tmp_path / "tensorrt_libs"
    wheel.mkdir()
    (wheel / "__init__.py").touch()
    # Any library will do: it is the place that matters.
    shutil.copy(_ctypes.__file__, wheel / "libnvonnxparser.so.10")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "libnvonnxparser.so.10" not in probe().missing


def test_this_computer_can_be_probed_and_has_a_processor(capfd: pytest.CaptureFixture[str]) -> None:
    found = probe()
    assert found.lacks("cpu") == ""
    assert found.runtime
    assert capfd.readouterr() == ("", "")


def test_a_list_of_which_nothing_works_here_says_why_for_each_of_it() -> None:
    assert none_works(ORDER, NO_DRIVER) == ""
    told = none_works(("tensorrt", "cuda"), NO_DRIVER)
    assert "tensorrt: libcuda.so.1 cannot be loaded; cuda: libcuda" in told


def test_an_optional_runtime_that_is_asked_for_and_absent_is_told_and_a_gpu_is_not() -> None:
    told = asked_in_vain(("tensorrt", "cuda", "openvino", "cpu"), CPU_BUILD)
    assert told.keys() == {"openvino"}
    assert "pip install 'openvino" in told["openvino"]
    has = replace(CPU_BUILD, packages={"openvino": "2026.4.1"})
    assert asked_in_vain(("openvino", "cpu"), has) == {}
    # Whoever names GPUs wants to know that they are not used.
    order = ("tensorrt", "cuda", "cpu")
    named = asked_in_vain(order, CPU_BUILD, gpu_is_named=True)
    assert named.keys() == {"tensorrt", "cuda"}
    assert asked_in_vain(order, CPU_BUILD) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"runtime": "2"},
        {"packages": {"openvino": "1"}},
        {"computes": {"numpy": "3.0"}},
        {"gpu": "Y sm80"},
        {"cuda": "13010"},
        {"tensorrt": "1"},
        {"processor": "other"},
    ],
)
def test_anything_that_can_change_a_number_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    assert replace(WORKSTATION, **changes).fingerprint != WORKSTATION.fingerprint
    assert replace(WORKSTATION).fingerprint == WORKSTATION.fingerprint


def test_a_lowered_precision_needs_the_package_and_a_provider_that_can() -> None:
    tolerance = {name: 0.1 for name in (TENSORRT, f"{TENSORRT}/fp16", CUDA, f"{CUDA}/fp16", CPU)}
    spec = network_spec(precisions=("fp16", "fp32"), tolerance=tolerance)
    found = choose(ORDER, WORKSTATION, spec, None)
    assert [one.label for one in found] == ["tensorrt/fp16", "tensorrt", "cuda", "cpu"]
    assert found[0].options["trt_fp16_enable"] == "1"
    assert found[1].options["trt_fp16_enable"] == "0"
    barred = choose(ORDER, WORKSTATION, spec, None, {"tensorrt/fp16", "cuda"})
    assert [one.label for one in barred] == ["tensorrt", "cpu"]
    plain = choose(ORDER, WORKSTATION, network_spec(tolerance=tolerance), None)
    assert [one.label for one in plain] == ["tensorrt", "cuda", "cpu"]


def test_engines_of_each_precision_lie_apart(tmp_path: Path) -> None:
    folders = {
        engine_folder(tmp_path, WORKSTATION, network_spec(), precision)
        for precision in ("fp32", "fp16", "bf16")
    }
    assert len(folders) == 3


def test_a_bag_gets_a_profile_for_any_number_of_items() -> None:
    bag = replace(tensor("items", *"abcd"), axes=Axes.BAG)
    spec = network_spec(inputs=(bag, tensor("image", "CT")))
    options = choose(("tensorrt",), WORKSTATION, spec, None)[0].options
    assert options["trt_profile_min_shapes"] == "items:1x1x4,image:1x1x16x16"
    assert options["trt_profile_max_shapes"] == "items:4x16384x4,image:4x1x16x16"
