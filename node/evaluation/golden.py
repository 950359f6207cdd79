"""`python -m node.evaluation.golden [NAME]`: make the golden case of a package for the trunk.

A simulated trunk of a test seed goes through the product's path; what the networks are given
there, rounded so that it packs well, becomes the input, and what they answer on the CPU the
expected output. Of an output a fixed sample is kept. Run it after training, then
`python -m models.seal models/NAME`. Without a name it is body_composition.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import NetworkSpec
from models.phantoms.scanner import write_ct_series
from models.phantoms.trunk import TrunkOptions, simulate_trunk
from node.domain.imaging import Network
from node.evaluation.product import Product, open_product

SEED = 1_900_000
#: Values of each output that are kept, spread evenly.
KEPT = 20_000
#: Inputs lie in 0..1 and are rounded to this part.
LEVELS = 64
MODELS = Path(__file__).resolve().parents[2] / "models"


class Recorder:
    """Passes a network's work on and keeps the last input it was given."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.name = network.name
        self.provider = network.provider
        self.seen: NDArray[np.float32] | None = None

    def run(self, inputs: Any) -> Any:  # noqa: ANN401 - an array, or arrays by name
        """As the network, kept."""
        self.seen = inputs[:1]
        return self._network.run(inputs)

    def run_windows(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """As the network, kept."""
        self.seen = image[None]
        return self._network.run_windows(image)

    def run_stack(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """As the network, kept."""
        self.seen = images[:1]
        return self._network.run_stack(images)


def golden_case(product: Product) -> tuple[dict[str, NDArray[np.float32]], dict[str, object]]:
    """Inputs and expected outputs of every network, by name."""
    recorders = {name: Recorder(network) for name, network in product.networks.items()}
    phantom = simulate_trunk(SEED, TrunkOptions(matrix=256))
    with tempfile.TemporaryDirectory(prefix="vigie-golden-") as folder:
        paths = write_ct_series(phantom, Path(folder))
        look = Product(product.manifest, recorders, product.analyse).look(paths)
    if not look.findings.findings:
        raise RuntimeError(f"the golden study was not measured: {look.findings.reason}")
    inputs: dict[str, NDArray[np.float32]] = {}
    expected: dict[str, object] = {}
    for spec in product.manifest.networks:
        seen = recorders[spec.name].seen
        assert seen is not None
        inputs[spec.name] = _rounded(_windowed(seen, spec))
        output = product.networks[spec.name].run(inputs[spec.name])
        step = max(1, output.size // KEPT)
        at = np.arange(step // 2, output.size, step, dtype=np.int64)
        expected[spec.name] = output.reshape(-1)[at]
        expected[f"{spec.name}_at"] = at
    return inputs, expected


def _windowed(seen: NDArray[np.float32], spec: NetworkSpec) -> NDArray[np.float32]:
    """One window out of the middle of what the network was given."""
    middle = tuple(
        slice((size - wanted) // 2, (size - wanted) // 2 + wanted)
        for size, wanted in zip(seen.shape[2:], spec.patch, strict=True)
    )
    return seen[(slice(None), slice(None), *middle)]


def _rounded(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.round(image * LEVELS) / LEVELS, np.float32)


def main() -> int:
    """Write golden/inputs.npz and golden/expected.npz of the package."""
    package = MODELS / (sys.argv[1] if len(sys.argv) > 1 else "body_composition")
    inputs, expected = golden_case(open_product(package, golden=False))
    folder = package / "golden"
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "inputs.npz", **inputs)  # type: ignore[arg-type]
    np.savez_compressed(folder / "expected.npz", **expected)  # type: ignore[arg-type]
    for path in sorted(folder.glob("*.npz")):
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
