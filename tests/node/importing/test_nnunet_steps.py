"""The steps of an imported package give nnU-Net's own numbers, on stored arrays.

`nnunet_arrays.npz` was written by nnU-Net itself (`tests/framework/nnunet_arrays.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from config.nnunet_form import NnunetForm
from config.package_steps import PostStep, PreStep
from inference.steps.chain import postprocess, preprocess
from inference.steps.image import Image
from models.importers.nnunet_plans import plan_of
from models.manifest_steps import PostStep as Behind
from models.manifest_steps import PreStep as Before
from models.steps_of import postprocessing, preprocessing
from node.importing.nnunet_recipe import AXIAL_LPS, Recipe, steps_before, steps_behind
from tests.models.importers.nnunet_documents import (
    ARRAY_CASES,
    array_logits,
    array_volume,
    small_dataset,
)

ARRAYS = np.load(Path(__file__).parent / "nnunet_arrays.npz")


def _recipe(name: str) -> Recipe:
    plans, configuration, _ = ARRAY_CASES[name]
    return Recipe(
        plan=plan_of(plans, small_dataset(), configuration),
        form=NnunetForm(),
        framework="nnunet",
        axes=AXIAL_LPS,
        step=0.5,
        mirror_axes=(),
        networks=("weights/net.onnx",),
    )


def _image(name: str) -> Image:
    """The series as a scanner stores it: axes to the head, to the back, to the left."""
    z, y, x = ARRAY_CASES[name][2]
    affine = np.array([[0, 0, -x, 90.0], [0, -y, 0, 70.0], [z, 0, 0, -40.0], [0, 0, 0, 1.0]])
    return Image(values=array_volume(name)[np.newaxis], affine=affine)


def _before(recipe: Recipe) -> tuple[Before, ...]:
    one: TypeAdapter[Any] = TypeAdapter(PreStep)
    return preprocessing(one.validate_python(step) for step in steps_before(recipe))


def _behind(recipe: Recipe) -> tuple[Behind, ...]:
    one: TypeAdapter[Any] = TypeAdapter(PostStep)
    return postprocessing(one.validate_python(step) for step in steps_behind(recipe))


def _stored(name: str, key: str) -> NDArray[Any]:
    array: NDArray[Any] = ARRAYS[f"{name}.{key}"]
    return array


@pytest.mark.parametrize("name", ARRAY_CASES)
def test_network_input_equals_nnunets(name: str) -> None:
    ready = preprocess(_image(name), _before(_recipe(name)))
    theirs = _stored(name, "preprocessed")
    assert ready.values.shape == theirs.shape
    np.testing.assert_allclose(ready.values, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ARRAY_CASES)
def test_labels_equal_nnunets(name: str) -> None:
    recipe = _recipe(name)
    ready = preprocess(_image(name), _before(recipe))
    scores = ready.with_values(array_logits(ready.shape))
    labels = postprocess(scores, _behind(recipe), {}).values[0]
    theirs = _stored(name, "labels")
    assert labels.shape == theirs.shape
    # Noise as logits: where two classes tie to the last bit, either may win.
    assert (labels == theirs).mean() > 0.9995
