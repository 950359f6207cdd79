"""Labels of many classes are made slab by slab; they are those of the whole map."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.builtin.running import after_argmax, gives_labels, run_labels, run_maps
from inference.engine import EngineOptions, open_network
from inference.steps.chain import postprocess
from inference.steps.image import Image
from models.manifest import TensorSpec, Windows
from models.manifest_steps import Argmax, Invert, Sigmoid, Softmax
from tests.inference.specs import manifest, network_spec

Floats = NDArray[np.float32]


def _image(shape: tuple[int, int, int]) -> Image:
    values = np.random.default_rng(3).normal(size=(1, *shape)).astype(np.float32)
    return Image(values=values, affine=np.eye(4))


def test_labels_are_the_largest_channel_of_the_whole_map() -> None:
    spec = network_spec("solid")
    package = manifest(spec, postprocess=(Softmax(), Argmax(), Invert(interpolation="nearest")))
    networks = {"solid": open_network(spec, EngineOptions())}
    image = _image((21, 17, 19))
    assert gives_labels(package)
    assert after_argmax(package.postprocess) == (Invert(interpolation="nearest"),)
    whole = postprocess(run_maps(package, networks, image), (Argmax(),), {})
    np.testing.assert_array_equal(run_labels(package, networks, image).values, whole.values)


def test_whole_maps_are_made_where_more_than_the_largest_channel_is_asked_for() -> None:
    spec = network_spec("solid")
    assert not gives_labels(manifest(spec, postprocess=(Invert(), Argmax())))
    assert not gives_labels(manifest(spec, postprocess=(Sigmoid(),)))
    folds = (spec, replace(spec, name="other"))
    assert not gives_labels(manifest(*folds, postprocess=(Argmax(),)))
    assert not gives_labels(manifest(network_spec("flat"), postprocess=(Argmax(),)))


class _Hundred:
    """118 classes without a network: each voxel's class is its value."""

    name = "hundred"
    provider = "none"
    outputs: Floats

    def run(self, inputs: Floats | Mapping[str, NDArray[Any]]) -> Any:
        assert isinstance(inputs, np.ndarray)
        scores = np.zeros((len(inputs), 118, *inputs.shape[2:]), np.float32)
        np.put_along_axis(scores, inputs.astype(np.intp), 1.0, axis=1)
        return scores

    def run_windows(self, image: Floats) -> Floats:
        raise AssertionError("the whole map was asked for")

    run_stack = run_windows


def test_a_hundred_classes_on_a_chest_of_3_mm_stay_within_a_slab() -> None:
    """512 x 512 x 600 voxels of 0.75 x 0.75 x 1 mm are 200 x 128 x 128 of 3 mm."""
    spec = replace(
        network_spec("solid"),
        name="hundred",
        outputs=(TensorSpec(name="logits", count=118),),
        patch=(64, 64, 64),
        windows=Windows(overlap=0.2, weights="gaussian_nnunet", starts="nnunet"),
    )
    package = manifest(spec, postprocess=(Argmax(),))
    truth = np.random.default_rng(1).integers(0, 118, (1, 200, 128, 128)).astype(np.float32)
    tracemalloc.start()
    try:
        labels = run_labels(package, {"hundred": _Hundred()}, Image(values=truth, affine=np.eye(4)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(labels.values, truth)
    whole_map = 118 * truth.size * 4
    assert peak < 0.85 * whole_map, f"{peak / 1e6:.0f} MB of {whole_map / 1e6:.0f} MB"
