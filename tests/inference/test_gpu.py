"""The shipped networks on a real GPU (`make gpu-test`); each test says what it lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from config.runtimes import PROVIDERS
from inference.engine import EngineOptions, open_network
from inference.golden import check_golden
from inference.providers import probe
from models.manifest import ModelManifest, NetworkSpec
from models.registry import load_manifest
from node.packages import MODELS_FOLDER, installed_models

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]
ON_GPU = ("cuda", "tensorrt")


def _options(word: str, folder: Path) -> EngineOptions:
    lacks = probe().lacks(word)
    if lacks:
        pytest.skip(f"{word}: {lacks}")
    return EngineOptions(providers=(word,), cache_folder=folder)


@pytest.fixture(params=installed_models())
def manifest(request: pytest.FixtureRequest) -> ModelManifest:
    """A shipped package."""
    return load_manifest(MODELS_FOLDER / request.param)


@pytest.mark.parametrize("word", ON_GPU)
def test_a_shipped_package_reproduces_its_golden_case(
    word: str, manifest: ModelManifest, tmp_path: Path
) -> None:
    options = _options(word, tmp_path)
    networks = {spec.name: open_network(spec, options) for spec in manifest.networks}
    proofs = check_golden(manifest, networks)
    assert {proof.provider for proof in proofs} == {PROVIDERS[word]}
    assert all(proof.difference is not None for proof in proofs)


def test_an_engine_is_built_once(manifest: ModelManifest, tmp_path: Path) -> None:
    options = _options("tensorrt", tmp_path)
    spec = manifest.networks[0]
    open_network(spec, options)
    built = _written(tmp_path)
    assert built, "no engine was kept"
    open_network(spec, options)
    assert _written(tmp_path) == built


@pytest.mark.parametrize("word", ON_GPU)
def test_calls_of_changing_batches_give_what_the_cpu_gives(
    word: str, manifest: ModelManifest, tmp_path: Path
) -> None:
    spec = manifest.networks[0]
    there = open_network(spec, _options(word, tmp_path))
    here = open_network(spec, EngineOptions(providers=("cpu",)))
    for seed, batch in enumerate((1, max(spec.batch, 1), 1)):
        feeds = _random(spec, batch, seed)
        expected = here.run(feeds)
        for name, values in there.run(feeds).items():
            scale = float(np.abs(expected[name]).max()) or 1.0
            gap = float(np.abs(values - expected[name]).max()) / scale
            assert gap <= spec.tolerance[PROVIDERS[word]]


def _random(spec: NetworkSpec, batch: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    low, high = spec.value_range or (0.0, 1.0)
    return {
        one.name: rng.uniform(low, high, (batch, *one.shape(spec.patch))).astype(np.float32)
        for one in spec.inputs
    }


def _written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix != ".lock"}
