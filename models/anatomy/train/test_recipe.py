"""The recipe runs: `.venv-train/bin/python -m pytest models/anatomy/train` (needs torch, onnx)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch

from models.anatomy.names import PAIRED, SINGLE
from models.anatomy.structures import BODIES, Structure
from models.anatomy.train import cache, examples, networks, training
from models.anatomy.train.__main__ import WINDOW
from models.anatomy.train.densities import densities
from models.body_composition.train.regions import loss_of
from models.phantoms.tissue import Tissue
from models.recipe.export import export


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> examples.TrunkPool:
    folder = tmp_path_factory.mktemp("trunks")
    cache.write(folder, 0)
    return examples.TrunkPool(folder, 0)


def test_examples_are_in_range_repeat_with_their_seed_and_hold_many_classes(
    pool: examples.TrunkPool,
) -> None:
    image, target = examples.draw(pool, torch.Generator().manual_seed(3))
    again, _ = examples.draw(pool, torch.Generator().manual_seed(3))
    assert torch.equal(image, again)
    assert image.shape == (1, 1, *networks.PATCH)
    assert 0 <= float(image.min()) < float(image.max()) <= 1
    assert len(target.unique()) >= 8


def test_ribs_and_aorta_have_codes_of_their_own(pool: examples.TrunkPool) -> None:
    codes = pool.trunk()[0].numpy()
    for code in (cache.RIB_11, cache.RIB_12, cache.THORACIC_AORTA):
        assert (codes == code).sum() > 50
    # Rib 12 is the lowest.
    lowest = [np.argwhere(codes == code)[:, 0].mean() for code in (cache.RIB_12, cache.RIB_11)]
    assert lowest[0] < lowest[1]


def test_every_class_is_handed_out_under_a_name() -> None:
    named = {*SINGLE, *PAIRED, *BODIES, Structure.OUTSIDE}
    assert named == set(Structure)
    assert set(cache.STRUCTURE_OF) == {int(s) for s in Structure}


def test_training_starts_from_the_features_of_the_levels() -> None:
    fresh, started = networks.anatomy_network(), networks.anatomy_network()
    networks.start_from_levels(started)
    assert not torch.equal(fresh.fold.weight, started.fold.weight)
    rows = slice(8 * Structure.T10, 8 * Structure.T10 + 8)
    above = slice(8 * Structure.UPPER_THORACIC, 8 * Structure.UPPER_THORACIC + 8)
    kept = networks.WIDTHS[0]
    assert torch.equal(started.head.weight[rows, :kept], started.head.weight[above, :kept])


def test_a_second_training_starts_from_what_the_first_exported(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first, second = networks.anatomy_network(), networks.anatomy_network()
    for value in first.parameters():
        # Equal weights share one place in the file.
        torch.nn.init.normal_(value, std=0.1)
    path = tmp_path / "anatomy.onnx"
    export(first, WINDOW, path)
    networks.start_from_export(second, path)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_varied_trunks_put_kidneys_where_plain_ones_do_not(tmp_path: Path) -> None:
    (varied := tmp_path / cache.VARIED.name).mkdir()
    low, places = [], []
    for folder in (tmp_path, varied):
        cache.write(folder, 1001)
        codes, start = examples.TrunkPool(folder, 0).trunk()
        low.append(start)
        places.append(np.argwhere(codes.numpy() == Tissue.KIDNEY).mean(axis=0))
    assert low[0] == low[1]
    assert np.abs(places[0] - places[1]).max() > 2


def test_people_of_the_third_training_have_worn_broken_and_curved_spines() -> None:
    spines = [cache.spine_of(seed) for seed in range(2000, 2024)]
    detailed = [spine for spine in spines if spine is not None]
    assert 12 <= len(detailed) <= 20
    assert any(spine.bridged for spine in detailed)
    assert any(change.deformity for spine in detailed for change in spine.changes)
    assert any(spine.cobb_degrees for spine in detailed)


def test_densities_spread_where_organs_are_told_apart() -> None:
    drawn = [densities(torch.Generator().manual_seed(k)) for k in range(60)]
    ratio = torch.stack([hu[Tissue.SACRUM] / hu[Tissue.L3] for hu in drawn])
    assert float(ratio.min()) < 0.4
    assert float(ratio.max()) > 0.9
    alike = [bool((hu[Tissue.LIVER] - hu[Tissue.SPLEEN]).abs() <= 8) for hu in drawn]
    assert 0.15 < sum(alike) / len(alike) < 0.7
    close = [bool((hu[Tissue.STOOL] - hu[Tissue.SPLEEN]).abs() <= 25) for hu in drawn]
    assert 0.2 < sum(close) / len(close) < 0.8


def test_perfect_answer_has_the_smallest_loss(pool: examples.TrunkPool) -> None:
    _, target = examples.draw(pool, torch.Generator().manual_seed(2))
    truth = torch.nn.functional.one_hot(target, len(Structure)).movedim(-1, 1).float()
    good = loss_of(20 * truth, target, training.WEIGHTS)
    poor = loss_of(torch.zeros_like(truth), target, training.WEIGHTS)
    assert float(good) < 0.01 < float(poor)


def test_export_agrees_with_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "anatomy.onnx"
    assert export(networks.anatomy_network(), WINDOW, path) < 1e-4
    assert path.stat().st_size < 8e6
