"""Training of the anatomy network on simulated trunks."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.data import DataLoader

from models.anatomy.structures import Structure
from models.anatomy.train.examples import Examples
from models.anatomy.train.networks import (
    anatomy_network,
    start_from_export,
    start_from_levels,
)
from models.body_composition.train.regions import loss_of
from models.recipe.averaging import Average
from models.recipe.fitting import Plan, fit
from models.recipe.precision import fast


def _weights() -> torch.Tensor:
    """Share of each class in the cross-entropy: small structures would be learned last."""
    weights = torch.full((len(Structure),), 0.35)
    weights[Structure.OUTSIDE] = 0.04
    weights[Structure.BODY] = 0.12
    weights[Structure.LIMB] = 0.05
    for large in (Structure.LUNG, Structure.LIVER, Structure.PELVIC_MUSCLE):
        weights[large] = 0.15
    for body in range(Structure.SACRUM, Structure.DISC):
        weights[body] = 1.0
    for small in (Structure.DISC, Structure.RIB_11, Structure.RIB_12, Structure.QUADRATUS):
        weights[small] = 0.8
    for often_missed in (Structure.KIDNEY, Structure.SPLEEN, Structure.RIB):
        weights[often_missed] = 0.6
    return weights


WEIGHTS = _weights()


def train(
    minutes: float, folder: Path, out: Path, seed: int = 17, start: Path | None = None
) -> Path:
    """Train for a wall-clock budget; writes `anatomy.pt` (averaged weights) and a log.

    Args:
        folder: of the trunks. start: weights to go on from, `.pt` or an exported `.onnx`; None
            starts from the features of the network of vertebral levels.
    """
    torch.manual_seed(seed)
    drawn = Examples(folder, seed)
    examples = iter(DataLoader(drawn, batch_size=None, num_workers=1, prefetch_factor=4))
    network = anatomy_network().to(memory_format=torch.channels_last_3d)
    if start is None:
        start_from_levels(network)
    elif start.suffix == ".onnx":
        start_from_export(network, start)
    else:
        network.load_state_dict(torch.load(start, weights_only=True))
    average = Average(network, anatomy_network(), memory=0.997)

    def loss() -> torch.Tensor:
        image, target = next(examples)
        with fast():
            logits = network(image.to(memory_format=torch.channels_last_3d))
        return loss_of(logits.float(), target, WEIGHTS)

    peak = 3e-3 if start is None else 1.5e-3
    fit(network, average, Plan(name="anatomy", minutes=minutes, peak=peak, warm_up=60), out, loss)
    torch.save(average.twin.state_dict(), out / "anatomy.pt")
    return out / "anatomy.pt"
