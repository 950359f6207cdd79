"""Measures the exported networks on simulated test patients (seeds from 1,000,000 upwards).

`python -m models.body_composition.train measure` writes RESULTS.md and results.json beside
this file. It needs onnxruntime and numpy only, and reads images through the same resampling as
the product.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.body_composition.compartments import compartments
from models.body_composition.levels import find_levels
from models.body_composition.naming import MidL3, locate_l3
from models.grid import canonical
from models.phantoms import FIRST_TEST_SEED
from models.phantoms.tissue import COMPARTMENT_OF, Compartment
from models.phantoms.trunk import Areas, TrunkOptions, simulate_trunk

HERE = Path(__file__).parent
LOG = Path("train-out")
THRESHOLDS = {"neighbour_min_mm": 20.0, "neighbour_max_mm": 50.0, "adult_neighbour_mm": 24.0}
BODY_ML = 1.5
Floats = NDArray[np.float32]


class Exported:
    """An exported network, run on the CPU, with windows along the first axis only."""

    provider = "CPUExecutionProvider"

    def __init__(self, name: str) -> None:
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = HERE.parent / "weights" / f"{name}.onnx"
        self._session = onnxruntime.InferenceSession(str(path), options, providers=[self.provider])
        self._patch = tuple(self._session.get_inputs()[0].shape[2:])

    def run(self, inputs: Floats) -> Floats:
        """(batch, 1, *patch) -> (batch, classes, *patch) logits."""
        (out,) = self._session.run(None, {"image": inputs})
        return out

    def run_windows(self, image: Floats) -> Floats:
        """(1, *spatial) -> (classes, *spatial): mean of windows, half overlapping along axis 1."""
        length, step = image.shape[1], self._patch[0] // 2
        total, weight = None, np.zeros(length, np.float32)
        starts = [*range(0, max(length - self._patch[0], 0), step), max(length - self._patch[0], 0)]
        ramp = np.hanning(self._patch[0] + 2)[1:-1].astype(np.float32)
        for start in starts:
            part = slice(start, start + self._patch[0])
            out = self.run(image[None, :, part])[0]
            if total is None:
                total = np.zeros((out.shape[0], length, *out.shape[2:]), np.float32)
            total[:, part] += out * ramp[:, None, None] if out.ndim == 4 else out
            weight[part] += ramp
        assert total is not None
        return total / weight[:, None, None]


def _areas(hu: NDArray[np.int16], found: NDArray[np.uint8], pixel_cm2: float) -> Areas:
    def area(place: Compartment, low: int, high: int) -> float:
        return float(((found == place) & (hu >= low) & (hu <= high)).sum() * pixel_cm2)

    return Areas(
        muscle=area(Compartment.MUSCLE, -29, 150),
        intermuscular_fat=area(Compartment.MUSCLE, -190, -30),
        subcutaneous_fat=area(Compartment.SUBCUTANEOUS, -190, -30),
        visceral_fat=area(Compartment.VISCERAL, -150, -50),
    )


def measure_case(seed: int, regions: Exported, levels: Exported) -> dict[str, object]:
    """Overlap per compartment, areas on the true slice and the error of mid-L3 of one patient."""
    phantom = simulate_trunk(seed, TrunkOptions(matrix=224, reach_mm=(-160.0, 175.0)))
    grid = canonical(phantom.volume)
    truth = phantom.truth
    slices = list(range(0, len(phantom.labels), 4))
    overlap = np.zeros((len(Compartment), 3))
    for index, found in zip(slices, compartments(grid, regions, slices), strict=True):
        place = COMPARTMENT_OF[phantom.labels[index]]
        for c in Compartment:
            mine, true = found == c, place == c
            overlap[c] += ((mine & true).sum(), mine.sum(), true.sum())
    dice = {
        c.name.lower(): 2 * a / (b + t)
        for c, (a, b, t) in zip(Compartment, overlap, strict=True)
        if t > 0
    }
    assert truth.l3_slice is not None
    assert truth.areas is not None
    (at_l3,) = compartments(grid, regions, [truth.l3_slice])
    hu = np.asarray(phantom.volume.voxels[truth.l3_slice], np.int16)
    mine = _areas(hu, at_l3, grid.pixel_cm2)
    errors = {name: (getattr(mine, name), getattr(truth.areas, name)) for name in Areas.__slots__}
    middle = locate_l3(find_levels(grid, levels, BODY_ML), grid, THRESHOLDS)
    l3 = middle.height_mm - truth.l3_z_mm if isinstance(middle, MidL3) else None
    return {
        "seed": seed,
        "dice": dice,
        "areas_cm2": errors,
        "l3_error_mm": l3,
        "refused": None if isinstance(middle, MidL3) else middle.reason,
    }


def _interval(values: NDArray[np.float64]) -> str:
    rng = np.random.default_rng(0)
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def write(cases: list[dict], lines: list[str]) -> None:
    """results.json and RESULTS.md."""
    (HERE / "results.json").write_text(json.dumps(cases, indent=1) + "\n")
    lines += [
        "## Simulated test patients",
        "",
        f"n = {len(cases)}, seeds {cases[0]['seed']} to {cases[-1]['seed']}, 5 mm slices.",
        "Mean and 95 % interval (bootstrap over patients).",
        "",
        "| metric | value |",
        "| --- | --- |",
    ]
    for c in Compartment:
        values = np.array([x["dice"][c.name.lower()] for x in cases if c.name.lower() in x["dice"]])
        if len(values) > 1:
            lines.append(f"| Dice, {c.name.lower()} (n {len(values)}) | {_interval(values)} |")
    for name in ("muscle", "subcutaneous_fat", "visceral_fat"):
        pairs = np.array([x["areas_cm2"][name] for x in cases])
        relative = 100 * np.abs(pairs[:, 0] - pairs[:, 1]) / np.maximum(pairs[:, 1], 1)
        lines.append(f"| area error at true L3, {name}, % | {_interval(relative)} |")
    errors = np.array([abs(x["l3_error_mm"]) for x in cases if x["l3_error_mm"] is not None])
    refused = sum(x["l3_error_mm"] is None for x in cases)
    if len(errors):
        lines.append(f"| mid-L3 error, mm (n {len(errors)}) | {_interval(errors)} |")
        lines.append(f"| mid-L3 within 10 mm | {(errors <= 10).sum()} of {len(errors)} |")
    lines.append(f"| level not stated | {refused} of {len(cases)} |")
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")


def main(count: int = 12) -> None:
    """Measure `count` patients and write the results."""
    regions, levels = Exported("regions"), Exported("levels")
    seeds = range(FIRST_TEST_SEED + 500, FIRST_TEST_SEED + 500 + count)
    cases = [measure_case(seed, regions, levels) for seed in seeds]
    lines = [
        "# Training results",
        "",
        "Made by `.venv-train/bin/python -m models.body_composition.train measure`. Everything in",
        "this file is simulated; the real images are measured by `make evaluate` (see CARD.md).",
        "",
    ]
    lines += _training_log()
    write(cases, lines)


def _training_log() -> list[str]:
    stored = HERE / "training_log.json"
    if not stored.exists():
        return []
    lines = [
        "## Training",
        "",
        "| network | stage | step | minutes | loss |",
        "|---|---|---|---|---|",
    ]
    for row in json.loads(stored.read_text()):
        lines.append("| {network} | {stage} | {step} | {minutes} | {loss} |".format(**row))
    return [*lines, ""]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    main(parser.parse_args().count)
