"""The best class of each voxel, where only possible winners are interpolated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from inference.steps import best_class as module
from inference.steps.best_class import best_class
from inference.steps.image import Grid
from inference.steps.moves import Cropped, Resampled
from inference.steps.sampling import AxisMap, linear

Floats = NDArray[np.float32]


def _resampled(source: tuple[int, ...], network: tuple[int, ...]) -> Resampled:
    i, j, k = (AxisMap.edges_kept(a, b) for a, b in zip(source, network, strict=True))
    grid = Grid(shape=(source[0], source[1], source[2]), affine=np.eye(4))
    return Resampled(step="spacing", source=grid, maps=(i, j, k))


def _organs(classes: int, shape: tuple[int, ...], seed: int) -> Floats:
    """Scores of blobs that lie in different places."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    scores = [np.zeros(shape)]
    for _ in range(classes - 1):
        centre = [rng.uniform(0, size) for size in shape]
        away = sum((axis - at) ** 2 for axis, at in zip(axes, centre, strict=True))
        scores.append(6 * np.exp(-away / rng.uniform(4, 40)) - 1)
    noise = rng.normal(0, 0.2, (classes, *shape))
    return np.asarray(np.stack(scores) + noise, np.float32)


@pytest.mark.parametrize(
    ("source", "network"),
    [((40, 52, 31), (20, 24, 40)), ((9, 7, 60), (9, 20, 1)), ((11, 12, 13), (11, 12, 13))],
)
def test_the_labels_are_those_of_all_classes_interpolated_everywhere(
    source: tuple[int, ...], network: tuple[int, ...]
) -> None:
    scores = _organs(12, network, 3)
    move = _resampled(source, network)
    whole = linear(scores, move.maps_back())
    number_of, best = best_class(scores, (move,), "linear")
    np.testing.assert_array_equal(number_of[0], whole.argmax(axis=0))
    np.testing.assert_allclose(best[0], whole.max(axis=0), atol=1e-5)


def test_a_class_that_is_nowhere_the_best_of_a_sample_may_win_between_two() -> None:
    scores = np.zeros((3, 1, 1, 2), np.float32)
    scores[0, 0, 0] = (3.0, -3.0)
    scores[1, 0, 0] = (-3.0, 3.0)
    scores[2, 0, 0] = (1.0, 1.0)
    number_of, _ = best_class(scores, (_resampled((1, 1, 9), (1, 1, 2)),), "linear")
    assert number_of[0, 0, 0, 4] == 2
    assert set(np.unique(number_of)) == {0, 1, 2}


def test_equal_classes_give_the_lower_number() -> None:
    scores = np.ones((4, 5, 5, 5), np.float32)
    number_of, _ = best_class(scores, (_resampled((8, 8, 8), (5, 5, 5)),), "linear")
    assert not number_of.any()


def test_what_was_cut_off_before_the_resampling_is_background() -> None:
    scores = _organs(5, (12, 12, 12), 8)
    scores[0] -= 20
    move = _resampled((30, 30, 30), (16, 16, 16))
    cut = Cropped(
        step="crop",
        source=Grid(shape=(16, 16, 16), affine=np.eye(4)),
        start=(2, 2, 2),
        shape=(12, 12, 12),
    )
    number_of, _ = best_class(scores, (cut, move), "linear")
    whole = linear(cut.undo(scores, "linear"), move.maps_back())
    np.testing.assert_array_equal(number_of[0], whole.argmax(axis=0))
    assert not number_of[0, :2].any()


def test_a_class_is_read_only_where_it_can_win(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = module.interpolate

    def counted(image: Any, coordinates: Any) -> Any:
        read.append(int(np.prod([len(along) for along in coordinates])))
        return real(image, coordinates)

    monkeypatch.setattr(module, "interpolate", counted)
    scores = np.zeros((40, 24, 24, 24), np.float32)
    scores[1:] = -5
    for number in range(1, 20):
        blob = np.zeros((24, 24, 24), np.bool_)
        blob[number, 10:13, 5:9] = True
        scores[number][ndimage.binary_dilation(blob)] = 5
    move = _resampled((48, 48, 48), (24, 24, 24))
    number_of, _ = best_class(scores, (move,), "linear")
    assert set(np.unique(number_of)) == set(range(20))
    assert sum(read) < 2 * 48**3, "background, and a small box for each of 19 classes"
