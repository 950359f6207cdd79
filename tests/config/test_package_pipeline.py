"""A package with a built-in pipeline that cannot work is told so when it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import read_document
from config.package_schema import Package
from node.domain.errors import ConfigError
from tests.inference.builtin.examples import package

_SPACING = "  - {step: spacing, spacing_mm: [4.0, 4.0, 4.0], interpolation: linear}\n"
_REGION = "  - {step: region_of_interest, above: -500}\n"

FAULTS = [
    (
        "segmentation",
        _SPACING,
        _REGION + _SPACING,
        "'spacing' changes the grid that the region lies on - put 'region_of_interest' behind it",
    ),
    ("segmentation", _SPACING, _SPACING + 2 * _REGION, "a second region - state one"),
    (
        "segmentation",
        _SPACING,
        _SPACING + "  - {step: region_of_interest, above: -500, background: 2}\n",
        "there is no channel 2: the network has 2",
    ),
    (
        "segmentation",
        _SPACING,
        _SPACING + "  - {step: region_of_interest, above: -500, outside: [1, 0]}\n",
        "the background would not be the best channel outside",
    ),
    (
        "classification",
        "preprocess:\n",
        "preprocess:\n" + _REGION,
        "the pipeline 'classification' runs no windows over an image",
    ),
    (
        "segmentation",
        "  - {step: argmax}\n  - {step: dust, least_ml: 0.5}\n",
        "",
        "add one of argmax, threshold or regions",
    ),
    (
        "segmentation",
        "  - {step: invert, interpolation: linear}\n",
        "",
        "the labels do not come back to the images: 'spacing' is never undone",
    ),
    (
        "segmentation",
        "  - {step: invert, interpolation: linear}\n  - {step: argmax}\n",
        "  - {step: argmax}\n  - {step: invert, interpolation: linear}\n",
        "write nearest or per_class_linear",
    ),
    (
        "segmentation",
        "interpolation: linear}\n  - {step: argmax}",
        "interpolation: linear, only: [spacing]}\n  - {step: argmax}",
        "'orient' is never undone",
    ),
    (
        "segmentation",
        "  - {step: softmax}\n",
        "  - {step: dust, least_ml: 1}\n",
        "'dust' works on labels, and there are none yet",
    ),
    (
        "segmentation",
        "least_ml: 0.5}\n",
        "least_ml: 0.5}\n  - {step: softmax}\n",
        "'softmax' works on channels, and they are labels already",
    ),
    ("segmentation", "  labels:\n", "  boxes: []\n  labels:\n", ""),
    (
        "segmentation",
        "measure: [volume, attenuation, area]",
        "measure: [volume, certainty]",
        "",
    ),
    (
        "segmentation",
        "code: [272673000, SCT, Bone]",
        "code: [272673000, SNOMED-LIKE, Bone]",
        "a private scheme that begins with 99",
    ),
    (
        "segmentation",
        "kind: structure",
        "kind: lesion",
        "add the code of the organ, for example site: [39607008, SCT, Lung]",
    ),
    (
        "segmentation",
        "pipeline: segmentation",
        "pipeline: models.body_composition.pipeline",
        "only a built-in pipeline reads this",
    ),
    ("segmentation", "pipeline: segmentation", "pipeline: segmentaton", "'segmentation'?"),
    (
        "segmentation",
        "pipeline: segmentation",
        "pipeline: detection",
        "the pipeline 'detection' has nothing to report",
    ),
    ("detection", "threshold: certain\n", "threshold: sure\n", "there is no threshold 'sure'"),
    ("detection", "starts: monai", "starts: even", "write starts: monai"),
    ("detection", "overlap: 0.25", "overlap: 0.4", "do not lie on a raster of 4"),
    ("detection", "divisible_by: [4, 4, 4]", "divisible_by: [4, 4, 2]", "multiples of 2"),
    ("detection", "scales: [1] ", "scales: [1, 2] ", "different numbers of levels"),
    (
        "classification",
        "  - {step: softmax}\n",
        "  - {step: argmax}\n",
        "has scores, no image, behind its network",
    ),
    ("classification", "{channel: 1,", "{channel: 2,", "there is no channel 2: the network has 2"),
    (
        "classification",
        "  classes:\n",
        "  classes:\n    - {channel: 0, name: Pale, code: [PALE, 99X, Pale], threshold: dense}\n",
        "add 'score: [P1, 99LOCAL, Probability of Pale]'",
    ),
    ("views", "  right: {series", "  wrong: {series", "no series plays the role 'right'"),
    (
        "views",
        "  - {step: resize, size: [1, 32, 32], interpolation: area}",
        "  - {step: orient, axes: RAS}",
        "projections, which have no axes and no voxel size",
    ),
    (
        "tiles",
        "  tiles: {mpp_um: 1.0",
        "  aggregate: {how: max}  # {",
        "add 'tiles: {mpp_um: 0.5}'",
    ),
    ("attention_mil", "  - name: features\n", "  - name: encoder\n", "'features' and 'attention'"),
    ("attention_mil", "{name: score, ", "{name: logits, ", "gives no 'score' and 'attention'"),
]


@pytest.mark.parametrize(("word", "old", "new", "told"), FAULTS)
def test_a_fault_is_told_with_its_remedy(
    tmp_path: Path, word: str, old: str, new: str, told: str
) -> None:
    def changed(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, 1)

    folder = package(word, tmp_path, changed)
    if not told:
        read_document(folder / "model.yaml", Package)
        return
    with pytest.raises(ConfigError) as caught:
        read_document(folder / "model.yaml", Package)
    assert told in str(caught.value)


def test_a_certainty_needs_probabilities(tmp_path: Path) -> None:
    def changed(text: str) -> str:
        text = text.replace("  - {step: softmax}\n", "")
        return text.replace("[volume, attenuation, area]", "[volume, certainty]")

    folder = package("segmentation", tmp_path, changed)
    with pytest.raises(ConfigError, match="no step makes probabilities of the network's output"):
        read_document(folder / "model.yaml", Package)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("{step: threshold, at: 0.5, channel: 0}", "'threshold' would find it everywhere outside"),
        ("{step: regions, values: [1, 2]}", "'regions' would find it everywhere outside"),
        ("{step: threshold, at: 0.5, channel: 1}", ""),
    ],
)
def test_what_lies_outside_a_region_never_becomes_a_finding(
    tmp_path: Path, step: str, told: str
) -> None:
    def changed(text: str) -> str:
        text = text.replace(_SPACING, _SPACING + _REGION)
        return text.replace("  - {step: argmax}\n", f"  - {step}\n")

    folder = package("segmentation", tmp_path, changed)
    if not told:
        read_document(folder / "model.yaml", Package)
        return
    with pytest.raises(ConfigError) as caught:
        read_document(folder / "model.yaml", Package)
    assert told in str(caught.value)
