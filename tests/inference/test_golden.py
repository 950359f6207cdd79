"""A package that no longer reproduces its own numbers is not used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.engine import EngineOptions, open_network
from inference.golden import check_golden
from models.manifest import Golden, ModelManifest, NetworkSpec, Windows
from node.domain.errors import GoldenMismatch, ModelError
from node.domain.imaging import Network
from tests.inference.specs import manifest, network_spec, tensor

Array = NDArray[np.float32]


class Watched:
    """A network whose calls are counted and whose provider can be another."""

    def __init__(self, network: Network, provider: str) -> None:
        self._network = network
        self.name = network.name
        self.provider = provider
        self.inputs: list[Array] = []

    def run(self, inputs: Any) -> Any:
        self.inputs.append(inputs["image"] if isinstance(inputs, dict) else inputs)
        return self._network.run(inputs)

    def run_windows(self, image: Array) -> Array:
        return self._network.run_windows(image)


def watched(*specs: NetworkSpec, provider: str = "CPUExecutionProvider") -> dict[str, Watched]:
    options = EngineOptions()
    return {spec.name: Watched(open_network(spec, options), provider) for spec in specs}


@pytest.fixture
def package(tmp_path: Path) -> ModelManifest:
    """Two networks with a true golden case."""
    specs = (network_spec("flat"), network_spec("solid"))
    generator = np.random.default_rng(5)
    inputs = {spec.name: generator.random((2, 1, *spec.patch), np.float32) for spec in specs}
    networks = watched(*specs)
    expected = {name: networks[name].run(array) for name, array in inputs.items()}
    np.savez(tmp_path / "inputs.npz", **inputs)  # type: ignore[arg-type]
    np.savez(tmp_path / "expected.npz", **expected)  # type: ignore[arg-type]
    golden = Golden(inputs=tmp_path / "inputs.npz", expected=tmp_path / "expected.npz")
    return manifest(*specs, golden=golden)


def change(package: ModelManifest, name: str, by: float) -> None:
    """Change one value of the expected output by a fraction of its largest value."""
    assert package.golden is not None
    with np.load(package.golden.expected) as arrays:
        expected = {key: arrays[key].copy() for key in arrays}
    largest = np.abs(expected[name]).max()
    smallest = np.unravel_index(np.abs(expected[name]).argmin(), expected[name].shape)
    expected[name][smallest] += by * largest
    np.savez(package.golden.expected, **expected)


def test_a_package_that_reproduces_its_numbers_is_accepted_and_warm(
    package: ModelManifest,
) -> None:
    networks = watched(*package.networks)
    check_golden(package, networks)
    assert [len(network.inputs) for network in networks.values()] == [2, 2]


def test_a_difference_within_the_stated_tolerance_is_accepted(package: ModelManifest) -> None:
    change(package, "solid", 0.0008)
    check_golden(package, watched(*package.networks))


def test_a_difference_beyond_it_names_network_provider_difference_and_tolerance(
    package: ModelManifest,
) -> None:
    change(package, "solid", 0.005)
    with pytest.raises(GoldenMismatch) as caught:
        check_golden(package, watched(*package.networks))
    told = str(caught.value)
    assert "network solid on CPUExecutionProvider" in told
    assert "0.005" in told
    assert "allowed 0.001" in told


def test_each_provider_has_its_own_tolerance(package: ModelManifest) -> None:
    change(package, "flat", 0.005)
    check_golden(package, watched(*package.networks, provider="TensorrtExecutionProvider"))
    with pytest.raises(ModelError, match="states no tolerance"):
        check_golden(package, watched(*package.networks, provider="VitisAIExecutionProvider"))


def test_a_golden_case_that_holds_no_numbers_is_not_a_match(package: ModelManifest) -> None:
    change(package, "flat", float("nan"))
    with pytest.raises(GoldenMismatch, match="nan"):
        check_golden(package, watched(*package.networks))


def test_without_a_golden_case_every_network_is_warmed_with_a_full_batch() -> None:
    spec = network_spec("solid", windows=Windows(overlap=0.5, batch=3))
    networks = watched(spec)
    check_golden(manifest(spec), networks)
    inputs = networks["solid"].inputs[0]
    assert inputs.shape == (3, 1, 8, 8, 8)
    assert not inputs.any()


def test_a_golden_case_that_cannot_be_read_or_lacks_a_network_is_told(
    package: ModelManifest,
) -> None:
    assert package.golden is not None
    with np.load(package.golden.inputs) as arrays:
        flat = arrays["flat"].copy()
    np.savez(package.golden.inputs, flat=flat)
    with pytest.raises(ModelError, match="no golden array of network solid"):
        check_golden(package, watched(*package.networks))
    for content in (b"", b"not an archive", b"PK\x03\x04 broken"):
        package.golden.inputs.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read"):
            check_golden(package, watched(*package.networks))
    package.golden.inputs.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        check_golden(package, watched(*package.networks))


def test_a_golden_case_of_another_shape_is_told(package: ModelManifest) -> None:
    assert package.golden is not None
    with np.load(package.golden.expected) as arrays:
        expected = {key: arrays[key][:, :1] for key in arrays}
    np.savez(package.golden.expected, **expected)
    with pytest.raises(ModelError, match="seal the package again"):
        check_golden(package, watched(*package.networks))


def sample(package: ModelManifest, name: str, at: NDArray[np.int64]) -> None:
    """Keep only some values of the expected output of one network."""
    assert package.golden is not None
    with np.load(package.golden.expected) as arrays:
        kept = {key: arrays[key] for key in arrays.files}
    inside = at[at < kept[name].size]
    kept |= {name: kept[name].reshape(-1)[inside], f"{name}_at": at}
    np.savez(package.golden.expected, **kept)


def test_a_sample_of_a_large_output_proves_it_and_a_changed_value_in_it_is_found(
    package: ModelManifest,
) -> None:
    sample(package, "solid", np.arange(3, 200, 7))
    check_golden(package, watched(*package.networks))
    change(package, "solid", 0.5)
    with pytest.raises(GoldenMismatch, match="solid"):
        check_golden(package, watched(*package.networks))


def test_a_sample_beyond_the_output_is_refused(package: ModelManifest) -> None:
    sample(package, "solid", np.array([0, 10**9]))
    with pytest.raises(ModelError, match="seal the package again"):
        check_golden(package, watched(*package.networks))


def two_heads() -> NetworkSpec:
    return network_spec(
        "two_heads",
        inputs=(tensor("image", "CT"), replace(tensor("mask", "body"), dtype="uint8")),
        outputs=(tensor("logits", "a"), replace(tensor("half", "a"), stride=(2, 2))),
    )


def test_a_network_of_several_tensors_is_proved_on_each_of_them(tmp_path: Path) -> None:
    spec = two_heads()
    network = open_network(spec, EngineOptions())
    feeds = {
        "image": np.random.default_rng(2).random((3, 1, 16, 16), np.float32),
        "mask": np.full((3, 1, 16, 16), 2, np.uint8),
    }
    outputs = network.run(feeds)
    golden = Golden(inputs=tmp_path / "inputs.npz", expected=tmp_path / "expected.npz")
    np.savez(golden.inputs, **{f"two_heads.{key}": array for key, array in feeds.items()})  # type: ignore[arg-type]

    def expect(**changes: Array) -> None:
        stored = {f"two_heads.{key}": array for key, array in {**outputs, **changes}.items()}
        np.savez(golden.expected, **stored)  # type: ignore[arg-type]

    package = manifest(spec, golden=golden)
    expect()
    (proof,) = check_golden(package, {"two_heads": network})
    assert proof.difference == 0.0
    assert proof.tolerance == 0.001
    assert proof.windows_per_s > 0
    expect(half=outputs["half"] * np.float32(1.01))
    with pytest.raises(GoldenMismatch, match="two_heads, output half, on CPUExecutionProvider"):
        check_golden(package, {"two_heads": network})
    np.savez(golden.expected, **{"two_heads.logits": outputs["logits"]})
    with pytest.raises(ModelError, match="no golden array of network two_heads"):
        check_golden(package, {"two_heads": network})
