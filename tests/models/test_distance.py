"""Distances within a mask."""

from __future__ import annotations

import multiprocessing
import os
import resource
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from inference.worker_process import status_bytes
from models.distance import distance_inside


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 24), min_size=2, max_size=3).map(tuple),
    share=st.floats(0.02, 0.98),
    seed=st.integers(0, 1000),
)
def test_distances_are_scipys_to_the_last_bit(
    shape: tuple[int, ...], share: float, seed: int
) -> None:
    mask = np.random.default_rng(seed).random(shape) < share
    mask.flat[0] = False
    np.testing.assert_array_equal(distance_inside(mask), ndimage.distance_transform_edt(mask))


def test_a_deep_mask_of_any_layout() -> None:
    mask = np.zeros((40, 90, 70), np.bool_, order="F")
    mask[3:, :, 2:] = True
    turned = mask.transpose(2, 0, 1)
    expected = ndimage.distance_transform_edt(turned)
    np.testing.assert_array_equal(distance_inside(turned), expected)
    assert expected.max() > 30


def test_a_mask_that_fills_the_image_is_infinitely_deep() -> None:
    assert np.isposinf(distance_inside(np.ones((3, 4, 5), np.bool_))).all()
    assert not distance_inside(np.zeros((3, 4, 5), np.bool_)).any()


def test_too_little_memory_is_told_as_that() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        told = pool.submit(_in_little_memory).result(60)
    assert told == "MemoryError: for the distances in (400, 400, 400) voxels"


def _in_little_memory() -> str:
    """In a process of its own: with 150 MB more than it has."""
    mask = np.ones((400, 400, 400), np.bool_)
    mask[0] = False
    limit = status_bytes(os.getpid(), "VmData") + 150_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        distance_inside(mask)
    except MemoryError as error:
        return f"MemoryError: {error}"
    return "it had enough"
