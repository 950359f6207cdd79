"""What a package says twice must be the same, and what it names must exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import read_document
from config.package_schema import Package
from node.domain.errors import ConfigError
from tests.inference.builtin.examples import package

_TRAINED = "    spacing_mm: [4.0, 4.0, 4.0]\n"
_SPACING = "  - {step: spacing, spacing_mm: [4.0, 4.0, 4.0], interpolation: linear}\n"
_SCALE = "  - {step: scale_range, from: [-150, 450], to: [0, 1], clip: true}\n"
_RANGE = "value_range: [-150, 450]"
_ARGMAX = "  - {step: argmax}\n"
_TOLERANCE = "tolerance: {CPUExecutionProvider: 0.001}"


def spacing(sides: str) -> str:
    return f"  - {{step: spacing, spacing_mm: {sides}}}\n"


def read(folder: Path, word: str, *changes: tuple[str, str]) -> Package:
    def changed(text: str) -> str:
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        return text

    return read_document(package(word, folder, changed) / "model.yaml", Package)


FAULTS = [
    (
        "segmentation",
        (_SPACING, spacing("[4.0, 4.0, 5.0]")),
        r"model\.yaml:36:33: preprocess\.1\.spacing_mm: it makes voxels of 5 mm on an axis for "
        r"which the network 'bright' states 4 mm \(its spacing_mm is \[4, 4, 4\]\) - write the "
        "voxel size that the network was trained at in both places",
    ),
    ("segmentation", (_SPACING, spacing("[null, 4.1, null]")), "voxels of 4.1 mm"),
    ("segmentation", (_SPACING, spacing("[4, 4, 4]") + spacing("[null, 2, null]")), "of 2 mm"),
    ("detection", (_TRAINED, "    spacing_mm: [4.0, 4.0, 1.0]\n"), "states 1 mm"),
    (
        "slices",
        (
            "  - {step: resize, size: [null, 32, 32]",
            "  - {step: resize, size: [9, 32, null]"
            ", interpolation: area}\n"
            + spacing("[2, 8, 9]")
            + "  - {step: resize, size: [9, 32, null]",
        ),
        "voxels of 9 mm on an axis for which the network 'score' states 8 mm",
    ),
    (
        "segmentation",
        (_RANGE, "value_range: [0, 1]"),
        r"model\.yaml:31:18: networks\.0\.value_range: this is the range that step 3 scales to; "
        r"meant is .* - write value_range: \[-150, 450\]",
    ),
    (
        "segmentation",
        (_RANGE, "value_range: [-1000, 1000]"),
        r"step 3 of 'preprocess:' scales values from \[-150, 450\] and cuts off all others, here "
        r"stands another range - write value_range: \[-150, 450\]",
    ),
    ("tiles", ("value_range: [0, 255]", "value_range: [300, 400]"), r"from \[0, 255\], here"),
    (
        "attention_mil",
        ("value_range: [0, 255]", "value_range: [0, 1]"),
        r"networks\.0\.value_range",
    ),
    (
        "segmentation",
        ("value: 1\n", "value: 2\n"),
        r"model\.yaml:47:14: results\.labels\.0\.value: no voxel ever gets the label 2: the steps "
        r"give 1 - .*add '- \{step: relabel",
    ),
    ("segmentation", (_ARGMAX, "  - {step: select_channels, channels: [1]}\n" + _ARGMAX), "at all"),
    ("segmentation", (_ARGMAX, _ARGMAX + "  - {step: relabel, table: {1: 7}}\n"), "give 7"),
    ("segmentation", (_ARGMAX, "  - {step: regions, values: [3, 4, 5]}\n"), "give 3 to 5"),
    (
        "segmentation",
        (_TOLERANCE, "tolerance: {CPUExecutionProvider: 0.001, OpenVino: 0.001}"),
        r"model\.yaml:33:56: networks\.0\.tolerance\.OpenVino: nothing that runs networks is "
        "called 'OpenVino' .* - did you mean 'OpenVINO'",
    ),
    (
        "segmentation",
        (_TOLERANCE, "tolerance: {CPUExecutionProvider: 0.001, ROCm: 0.001}"),
        "write TensorrtExecutionProvider, CUDAExecutionProvider, CPUExecutionProvider, OpenVINO or",
    ),
    (
        "segmentation",
        (_TOLERANCE, "tolerance: {CPUExecutionProvider: 0.001, CUDAExecutionProvider/fp16: 0.01}"),
        "CUDAExecutionProvider never runs a network in 'fp16' .* - write 'CUDAExecutionProvider'; "
        "'/fp16' and '/bf16' stand behind TensorrtExecutionProvider or OpenVINO",
    ),
    (
        "segmentation",
        (_TOLERANCE, "tolerance: {CPUExecutionProvider: 0.001, OpenVINO/int8: 0.01}"),
        "OpenVINO never runs a network in 'int8'",
    ),
    (
        "segmentation",
        (_TOLERANCE, "tolerance: {CPUExecutionProvider: 0.001, OpenVINO/: 0.01}"),
        "a precision is missing behind the / .* - write 'OpenVINO'",
    ),
    (
        "segmentation",
        (_TOLERANCE, "tolerance: {CPUExecutionProvider: 0.001, OpenVINO/bf16: 0.01}"),
        r"'precisions' of the network does not name bf16 .* - add 'precisions: \[bf16, fp32\]'",
    ),
    (
        "segmentation",
        (_TOLERANCE, _TOLERANCE + "\n    precisions: [fp16, fp32]"),
        r"model\.yaml:34:17: networks\.0\.precisions: fp16 is the first choice and is never taken: "
        "no tolerance is for it .* - add 'TensorrtExecutionProvider/fp16: ...'",
    ),
    (
        "segmentation",
        (
            _TOLERANCE,
            "tolerance: {CPUExecutionProvider: 0.001, OpenVINO/fp16: 0.01}\n    precisions: [fp16]",
        ),
        r"must be provable on the CPU, which runs fp32 .* - write \[fp16, fp32\]",
    ),
]


@pytest.mark.parametrize(("word", "change", "told"), FAULTS)
def test_a_contradiction_is_told_with_its_place_and_its_remedy(
    tmp_path: Path, word: str, change: tuple[str, str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        read(tmp_path, word, change)


SOUND = [
    ("segmentation", _SPACING, spacing("[4.03, 3.98, 4.0]")),
    ("segmentation", _SPACING, spacing("[null, 4.0, null]")),
    # What an earlier step makes is made anew by the last one.
    ("segmentation", _SPACING, spacing("[2, 2, 2]") + spacing("[4, 4, 4]")),
    # Sizes in voxels: the voxels measure what they measure.
    ("segmentation", _SPACING, spacing("[2, 2, 2]") + "  - {step: resize, size: [24, 24, 24]}\n"),
    ("segmentation", _SPACING, spacing("[2, 2, 2]") + "  - {step: orient, axes: SPL}\n"),
    ("slices", "  - {step: resize", spacing("[3, 8, 8]") + "  - {step: resize"),
    ("slices", "  - {step: resize", spacing("[3, 2, 2]") + "  - {step: resize"),
    # Without clip the range only divides, and nothing is cut off.
    ("segmentation", _SCALE, "  - {step: scale_range, from: [0, 1000], to: [0, 1]}\n"),
    ("segmentation", _SCALE, "  - {step: scale_range, from: [-150, 450], to: null, clip: true}\n"),
    # Behind another scale these are no stored values any more.
    ("segmentation", _SCALE, "  - {step: normalize}\n" + _SCALE.replace("-150, 450", "-2, 2")),
    ("segmentation", _ARGMAX, _ARGMAX + "  - {step: relabel, table: {0: 0, 1: 1}}\n"),
    ("segmentation", _ARGMAX, "  - {step: threshold, channel: 1}\n"),
    ("segmentation", _ARGMAX, "  - {step: regions, values: [2, 1]}\n"),
    (
        "segmentation",
        _TOLERANCE,
        "precisions: [fp16, fp32]\n    tolerance: {CPUExecutionProvider: 0.001, Triton: 0.001, "
        "OpenVINO: 0.001, OpenVINO/fp16: 0.01, TensorrtExecutionProvider/fp16: 0.01}",
    ),
]


@pytest.mark.parametrize(("word", "old", "new"), SOUND)
def test_what_is_no_contradiction_is_read(tmp_path: Path, word: str, old: str, new: str) -> None:
    assert read(tmp_path, word, (old, new)).networks


def test_every_network_of_an_ensemble_is_held_to_the_steps(tmp_path: Path) -> None:
    def twice(text: str) -> str:
        first, rest = text.split("  - name: bright\n")
        network, rest = rest.split("preprocess:", maxsplit=1)
        other = network.replace(_TRAINED, "    spacing_mm: [4.0, 2.0, 4.0]\n")
        return f"{first}  - name: bright\n{network}  - name: again\n{other}preprocess:{rest}"

    folder = package("segmentation", tmp_path, twice)
    with pytest.raises(ConfigError, match="the network 'again' states 2 mm"):
        read_document(folder / "model.yaml", Package)
