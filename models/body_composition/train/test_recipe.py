"""The recipe on two tiny trunks: draws are usable, losses fall, exports agree with torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.body_composition.train import cache, levels, networks, regions, render, trunks
from models.phantoms.tissue import Compartment, Level, Tissue
from models.recipe.export import export


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[trunks.TrunkPool]:
    folder = tmp_path_factory.mktemp("trunks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "FOLDER", folder)
        patch.setattr(trunks, "FOLDER", folder)
        for seed in (0, 1):
            cache.write(seed)
        yield trunks.TrunkPool(0)


def test_slices_and_blocks_are_in_range_and_hold_several_classes(pool: trunks.TrunkPool) -> None:
    generator = torch.Generator().manual_seed(0)
    image, target = regions.draw_batch(pool, 4, generator)
    assert image.shape == (4, 1, *regions.CROP)
    assert 0 <= float(image.min()) < float(image.max()) <= 1
    assert len(target.unique()) >= 4
    block, level = levels.draw_block(pool, generator)
    assert block.shape == (1, 1, *levels.PATCH)
    assert level.shape == (1, *levels.PATCH)
    assert int(level.max()) < len(Level)


def test_fat_is_dark_and_bone_bright_whatever_is_drawn() -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        hu = render.draw_table(generator)
        assert hu[Tissue.SUBCUTANEOUS_FAT] < -80
        assert hu[Tissue.ERECTOR] > 0
        assert hu[Tissue.ARCH] > 60


def test_perfect_answer_has_the_smallest_loss(pool: trunks.TrunkPool) -> None:
    _, target = regions.draw_batch(pool, 2, torch.Generator().manual_seed(2))
    truth = torch.nn.functional.one_hot(target, len(Compartment)).movedim(-1, 1).float()
    good = regions.loss_of(20 * truth, target, regions.WEIGHTS)
    poor = regions.loss_of(torch.zeros_like(truth), target, regions.WEIGHTS)
    assert float(good) < 0.01 < float(poor)


@pytest.mark.parametrize("name", ["regions", "levels"])
def test_export_agrees_with_torch_for_any_batch(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, patch = {
        "regions": (networks.regions_network, (regions.SIZE, regions.SIZE)),
        "levels": (networks.levels_network, levels.PATCH),
    }[name]
    path = tmp_path / f"{name}.onnx"
    assert export(network(), patch, path) < 1e-4
    assert path.stat().st_size < 8e6
