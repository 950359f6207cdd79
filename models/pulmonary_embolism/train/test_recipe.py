"""The recipe on tiny samples: draws are usable, losses fall for right answers, exports agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from models.phantoms.chest_tissue import ChestTissue
from models.pulmonary_embolism.train import clots, crops, hearts, networks
from models.pulmonary_embolism.train.continued import take_over
from models.pulmonary_embolism.train.imitators import (
    IMITATOR,
    beside_nodes,
    dark_vein,
    dressed,
    in_notches,
    unmixed,
)
from models.pulmonary_embolism.train.planted import plant
from models.pulmonary_embolism.train.scenes import AIRWAY, CLOT, SIZE, VESSEL, Painter, scanned
from models.recipe.export import export


def test_scenes_hold_vessels_and_clots_that_are_darker_than_the_blood() -> None:
    painter, rng = Painter(3), np.random.default_rng(3)
    labels = np.zeros(5, np.int64)
    darker = []
    for _ in range(12):
        scene = painter.scene()
        hu, truth = scanned(scene, rng)
        assert hu.shape == truth.shape == (SIZE,) * 3
        labels += np.bincount(truth.ravel(), minlength=5)
        if (scene.labels == CLOT).sum() > 40:
            clot = float(np.median(scene.hu[scene.labels == CLOT]))
            darker.append(clot < float(np.percentile(scene.hu[scene.labels == VESSEL], 90)) - 60)
    assert labels[VESSEL] > labels[CLOT] > 0
    assert labels[AIRWAY] > 0
    assert labels[IMITATOR] > 0
    assert all(darker)
    assert darker


def test_the_same_seed_draws_the_same_scene() -> None:
    first, second = Painter(5).scene(), Painter(5).scene()
    assert np.array_equal(first.hu, second.hu)
    assert not np.array_equal(first.hu, Painter(6).scene().hu)


def _fork() -> tuple[np.ndarray, np.ndarray]:
    """Two bright tubes side by side in lung, and their labels."""
    line = np.arange(SIZE)
    first = np.hypot(line[:, None] - 24, line[None, :] - 18) < 4
    second = np.hypot(line[:, None] - 24, line[None, :] - 27) < 4
    labels = np.broadcast_to((first | second)[None], (SIZE,) * 3).astype(np.uint8) * VESSEL
    return np.where(labels == VESSEL, 350.0, -850.0).astype(np.float32), labels


def test_sheaths_fill_the_gap_between_vessels_and_leave_their_blood() -> None:
    hu, labels = _fork()
    occupied = labels == VESSEL
    filled = 0
    for seed in range(8):
        out = dressed(hu, occupied, np.ones_like(occupied), np.random.default_rng(seed))
        assert np.array_equal(out[occupied], hu[occupied])
        assert out[:, 24, 5].max() < -500
        filled += int(np.median(out[:, 24, 22:24]) > -200)
    assert filled >= 3


def test_nodes_lie_between_vessels_whose_blood_stays_and_are_marked_as_imitators() -> None:
    drawn = 0
    for seed in range(8):
        hu, labels = _fork()
        before, vessels = hu.copy(), labels == VESSEL
        beside_nodes(hu, labels, np.random.default_rng(seed))
        marked = labels == IMITATOR
        assert np.array_equal(labels[vessels], np.full(int(vessels.sum()), VESSEL))
        assert np.abs(hu[vessels] - before[vessels]).max() < 1
        changed = np.abs(hu - before) > 300
        assert (changed & ~marked).sum() <= changed.sum() / 2
        if marked.sum() > 100:
            assert -80 < np.median(hu[marked]) < 130
            drawn += 1
    assert drawn >= 5


def test_tissue_in_a_notch_lies_in_the_hollow_of_vessels_and_nowhere_else() -> None:
    line = np.arange(SIZE)
    first = np.hypot(line[:, None] - 24, line[None, :] - 15) < 8
    second = np.hypot(line[:, None] - 24, line[None, :] - 33) < 8
    labels = np.broadcast_to((first | second)[None], (SIZE,) * 3).astype(np.uint8) * VESSEL
    hu = np.where(labels == VESSEL, 350.0, -850.0).astype(np.float32)
    drawn = 0
    for seed in range(8):
        image, marks = hu.copy(), labels.copy()
        in_notches(image, marks, np.random.default_rng(seed))
        marked = marks == IMITATOR
        assert np.array_equal(marks[labels == VESSEL], labels[labels == VESSEL])
        assert np.abs(image - hu)[labels == VESSEL].max() < 1
        # Between the tubes only, never on their outer sides.
        rows, columns = np.nonzero(marked.any(axis=0))
        assert ((columns > 14) & (columns < 34)).all()
        assert (np.abs(rows - 24) < 9).all()
        if marked.sum() > 20:
            drawn += 1
            assert 0 < np.median(image[marked]) < 150
    assert drawn >= 4


def test_no_notch_is_drawn_where_there_is_no_vessel() -> None:
    hu, labels = np.full((SIZE,) * 3, -850, np.float32), np.zeros((SIZE,) * 3, np.uint8)
    before = hu.copy()
    in_notches(hu, labels, np.random.default_rng(0))
    assert np.array_equal(hu, before)
    assert not labels.any()


def test_a_vessel_that_fills_voxels_in_part_keeps_its_part_beside_a_node() -> None:
    line = np.arange(SIZE)
    share = np.clip(4.4 - np.hypot(line[:, None] - 24, line[None, :] - 24), 0, 1)
    share = np.broadcast_to(share[None], (SIZE,) * 3)
    for seed in range(6):
        hu = (-850 + 1200 * share).astype(np.float32)
        labels = (share > 0.5).astype(np.uint8) * VESSEL
        beside_nodes(hu, labels, np.random.default_rng(seed))
        marked = labels == IMITATOR
        beside = (share > 0.5) & ndimage.binary_dilation(marked, iterations=1)
        # No dark seam of lung is left between the two.
        assert hu[beside].min(initial=500) > -250


def test_a_dark_vein_lies_in_the_mediastinum_and_never_in_lung_alone() -> None:
    hu, labels = _fork()
    lung = hu.copy()
    dark_vein(lung, labels, np.random.default_rng(0))
    assert np.array_equal(lung, hu)
    hu[:, :, :22][labels[:, :, :22] == 0] = 40.0
    drawn = 0
    for seed in range(8):
        image, marks = hu.copy(), labels.copy()
        dark_vein(image, marks, np.random.default_rng(seed))
        marked = marks == IMITATOR
        drawn += int(marked.sum() > 50)
        assert not marked[:, :, 40:].any()
    assert drawn >= 4


def test_planted_clots_are_darker_parts_of_vessels_and_labelled_so() -> None:
    line = np.arange(SIZE)
    share = np.clip(2.4 - np.hypot(line[:, None] - 24, line[None, :] - 24), 0, 1)
    share = np.broadcast_to(share[None], (SIZE,) * 3)
    drawn = 0
    for seed in range(20):
        hu = (-850 + 1200 * share).astype(np.float32)
        labels = (share > 0.5).astype(np.uint8) * VESSEL
        before = hu.copy()
        count = plant(hu, labels, np.random.default_rng(seed))
        clot = labels == CLOT
        assert clot.any() == (count > 0)
        # Lung stays as it was, and nothing becomes brighter; blood that is left stays blood.
        assert np.array_equal(hu[share == 0], before[share == 0])
        assert (hu <= before).all()
        assert set(np.unique(labels)) <= {0, VESSEL, CLOT}
        if count:
            drawn += 1
            full = clot & (share == 1)
            assert np.median(before[full] - hu[full]) > 80
            assert -20 < hu[full].mean() < 280
            assert clot.sum() < 0.9 * (share > 0.5).sum()
    assert drawn >= 12


def test_wide_vessels_get_thin_webs_most_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.pulmonary_embolism.train.planted._WIDE_SHARE", 1.0)
    line = np.arange(SIZE)
    inside = np.hypot(line[:, None] - 24, line[None, :] - 24) < 7
    vessel = np.broadcast_to(inside[None], (SIZE,) * 3)
    webs = drawn = 0
    for seed in range(16):
        hu = np.where(vessel, 350.0, 0.0).astype(np.float32)
        labels = vessel.astype(np.uint8) * VESSEL
        drawn += plant(hu, labels, np.random.default_rng(seed)) > 0
        clot = labels == CLOT
        if clot.any():
            # Nothing becomes darker than a clot may be, the wall neither.
            assert hu.min() >= 0
            depth = ndimage.distance_transform_edt(clot)
            webs += int(depth.max() < 2.5 and clot.sum() > 40)
            assert hu[clot].mean() < 300
    assert drawn >= 12
    assert webs >= drawn / 2


def test_nothing_is_planted_where_blood_and_clot_look_alike() -> None:
    _, labels = _fork()
    dark = np.where(labels == VESSEL, 110.0, -850.0).astype(np.float32)
    before = dark.copy()
    assert plant(dark, labels, np.random.default_rng(0)) == 0
    assert np.array_equal(dark, before)


def test_unmixed_blood_stays_brighter_than_a_clot() -> None:
    hu, labels = _fork()
    image = hu.copy()
    unmixed(image, labels, np.random.default_rng(2))
    assert image[labels == VESSEL].std() > 2
    assert image[labels == VESSEL].min() > 200
    assert np.array_equal(image[labels != VESSEL], hu[labels != VESSEL])


def test_an_imitator_is_another_tissue_that_weighs_more() -> None:
    torch.manual_seed(0)
    target = torch.zeros((1, 8, 8, 8), dtype=torch.int64)
    target[0, 0] = 1
    marked = target.clone()
    marked[0, 4:6] = IMITATOR
    right = 20 * torch.nn.functional.one_hot(target, 4).movedim(-1, 1).float()
    assert float(clots.loss_of(right, marked)) == pytest.approx(float(clots.loss_of(right, target)))
    wrong = right.clone()
    wrong[0, :, 4:6] = 0
    wrong[0, 3, 4:6] = 5
    assert float(clots.loss_of(wrong, marked)) > 1.3 * float(clots.loss_of(wrong, target))


def test_windows_of_a_whole_chest_lie_at_its_clots_about_as_often_as_asked(tmp_path: Path) -> None:
    labels = np.zeros((120, 110, 100), np.uint8)
    labels[30:90, 50:56, 50:56] = VESSEL
    labels[60, 10:100, 10:90] = VESSEL
    labels[40:46, 50:56, 50:56] = CLOT
    hu = np.where(labels > 0, 300, -850).astype(np.int16)
    np.savez(tmp_path / "0000001.npz", hu=hu[None], labels=labels[None])
    whole = crops.Crops([tmp_path])
    rng = np.random.default_rng(0)
    shown = [whole(rng)[1] for _ in range(40)]
    assert all(window.shape == (SIZE,) * 3 for window in shown)
    assert np.mean([bool((window == CLOT).any()) for window in shown]) > 0.5
    assert len({window.tobytes() for window in shown}) > 30


def test_a_turned_window_shows_the_chest_turned_with_its_labels() -> None:
    rng = np.random.default_rng(5)
    labels = np.zeros((90, 90, 90), np.uint8)
    labels[40:50, 30:60, 42:48] = CLOT
    part = crops.Part((np.int16(200) * (labels == CLOT)).astype(np.int16), labels, ())
    box = (slice(21, 69), slice(21, 69), slice(21, 69))
    straight = part.window(box)[1] == CLOT
    sizes = []
    for _ in range(12):
        image, turned = crops.turned(part, box, rng)
        assert image.shape == turned.shape == (SIZE, SIZE, SIZE)
        clot = turned == CLOT
        assert ((image > 100) == clot).mean() > 0.995
        assert (clot != straight).sum() > 100
        sizes.append(float(clot.sum() / straight.sum()))
    # A window that covers more shows things smaller.
    assert 0.6 < min(sizes) < 0.9
    assert 1.1 < max(sizes) < 1.6


def test_a_small_clot_is_shown_about_as_often_as_a_large_one(tmp_path: Path) -> None:
    labels = np.zeros((120, 200, 100), np.uint8)
    labels[30:90, 20:180, 50:56] = VESSEL
    labels[75, 20:180, 20:80] = VESSEL
    labels[40:60, 20:44, 50:56] = CLOT
    labels[60:62, 170:173, 52:54] = CLOT
    np.savez(tmp_path / "1.npz", hu=np.zeros((1, 120, 200, 100), np.int16), labels=labels[None])
    whole = crops.Crops([tmp_path])
    rng = np.random.default_rng(0)
    shown = [int((whole(rng)[1] == CLOT).sum()) for _ in range(120)]
    small, large = sum(0 < count <= 12 for count in shown), sum(count > 12 for count in shown)
    # Voxel by voxel, one of 300 would show the small one.
    assert small > 0.15 * len(shown)
    assert large > 0.15 * len(shown)


def test_a_small_clot_that_is_missed_costs_as_much_as_a_large_one() -> None:
    def missed(size: int) -> float:
        target = torch.zeros((2, 24, 24, 24), dtype=torch.int64)
        target[0, 4:20, 4:20, 4:20] = 3
        target[1, 4 : 4 + size, 4 : 4 + size, 4 : 4 + size] = 3
        said = target.clone()
        said[1] = 0
        logits = 20 * torch.nn.functional.one_hot(said, 4).movedim(-1, 1).float()
        return float(clots.loss_of(logits, target))

    assert missed(6) > 0.4


@pytest.mark.parametrize("widths", [(32, 48, 80), (40, 48, 96)])
def test_a_network_taken_over_answers_as_the_exported_one(
    widths: tuple[int, ...], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    first = networks.clots_network()
    images = [torch.rand(2, 1, 48, 48, 48) for _ in range(2)]
    for image in images:
        first(image)
    first.eval()
    path = tmp_path / "clots.onnx"
    export(first, (48, 48, 48), path)
    second = networks.FoldedUNet(4, widths=widths, deep=2, ramps=first.ramps)
    take_over(second, path, images)
    with torch.no_grad():
        expected = first(images[0])
        assert torch.allclose(second.eval()(images[0]), expected, atol=1e-3)
        # Its batch norms are measured: it starts to learn from there, not from anywhere.
        together = second.train()(torch.cat(images))[:2]
    assert torch.allclose(together, expected, atol=1e-2)


def test_a_narrower_network_takes_nothing_over(tmp_path: Path) -> None:
    path = tmp_path / "clots.onnx"
    export(networks.clots_network(), (48, 48, 48), path)
    narrow = networks.FoldedUNet(4, widths=(8, 48, 80), deep=2, ramps=((0.0, 1.0),) * 4)
    with pytest.raises(ValueError, match="wider"):
        take_over(narrow, path, [])


def test_perfect_answers_have_the_smallest_loss() -> None:
    target = torch.randint(0, 4, (2, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    truth = torch.nn.functional.one_hot(target, 4).movedim(-1, 1).float()
    assert float(clots.loss_of(20 * truth, target)) < 0.05
    assert float(clots.loss_of(torch.zeros_like(truth), target)) > 0.3


def test_opacified_chambers_are_brighter_than_their_wall() -> None:
    labels = np.full((hearts.PATCH,) * 3, ChestTissue.MEDIASTINAL_FAT, np.uint8)
    labels[20:40, 20:40, 20:40] = ChestTissue.PULMONARY_ARTERY
    for seed in range(4):
        hu = hearts.attenuation(labels, np.random.default_rng(seed))
        assert np.median(hu[24:36, 24:36, 24:36]) > np.median(hu[:10]) + 60


@pytest.mark.parametrize(("name", "size"), [("clots", 48), ("central", 64)])
def test_export_agrees_with_torch_for_any_batch(name: str, size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = {"clots": networks.clots_network, "central": networks.central_network}[name]()
    path = tmp_path / f"{name}.onnx"
    assert export(network, (size,) * 3, path) < 1e-4
    assert path.stat().st_size < 8e6
