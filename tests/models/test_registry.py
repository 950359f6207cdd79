"""A package is read without its code, and refused by name when a byte of it is not as stated."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from models.registry import load_manifest, load_registry, package_digest
from models.seal import seal
from node.domain.errors import ConfigError, ModelError

SHIPPED = Path(__file__).resolve().parents[2] / "models"
MANIFEST = """\
format: 1
name: {name}
title: A title
version: 1.2.3
manufacturer: Somebody
task: 1
ebai_class: A
pipeline: models.{name}.pipeline
intended_use: none
triage: false
priority: 10
limits: {{job_time_s: 10, job_memory_mb: 512}}
inputs:
  modalities: [CT]
  sop_class_uids: ["1.2.840.10008.5.1.4.1.1.2"]
  orientations: [axial]
  min_planes: 1
  min_extent_mm: 0
  max_spacing_mm: 5.0
  max_tilt_degrees: 0
  max_gap_factor: 1.5
  pixel_spacing_mm: [0.3, 3.0]
networks:
  - name: only
    path: weights/only.onnx
    sha256: "{zeros}"
    input_name: image
    output_name: logits
    patch: [8, 8]
    channels: [CT]
    classes: [a, b]
    spacing_mm: [2.0, 2.0]
    value_range: [-250, 250]
    overlap: 0.0
    batch: 1
    tolerance: {{CPUExecutionProvider: 0.001}}
"""


def package(folder: Path, name: str = "example") -> Path:
    """A sealed package whose pipeline cannot even be imported."""
    made = folder / name
    (made / "weights").mkdir(parents=True)
    (made / "weights" / "only.onnx").write_bytes(b"weights")
    (made / "pipeline.py").write_text("raise RuntimeError('the code of a package was run')\n")
    (made / "model.yaml").write_text(MANIFEST.format(name=name, zeros="0" * 64))
    seal(made)
    return made


def test_a_package_is_read_without_running_its_code(tmp_path: Path) -> None:
    package(tmp_path)
    before = set(sys.modules)
    manifest = load_registry(tmp_path).get("example")
    assert manifest.identity.version == "1.2.3"
    assert manifest.networks[0].path == tmp_path / "example" / "weights" / "only.onnx"
    assert manifest.networks[0].value_range == (-250.0, 250.0)
    assert manifest.golden is None
    assert not {name for name in set(sys.modules) - before if "example" in name}


def test_a_changed_weight_file_is_refused_naming_file_expected_and_found(tmp_path: Path) -> None:
    made = package(tmp_path)
    expected = load_manifest(made).networks[0].sha256
    (made / "weights" / "only.onnx").write_bytes(b"other weights")
    with pytest.raises(ModelError) as caught:
        load_registry(tmp_path)
    message = str(caught.value)
    assert "only.onnx" in message
    assert expected in message
    assert "install the package again" in message


def test_a_missing_weight_file_is_refused_by_name(tmp_path: Path) -> None:
    made = package(tmp_path)
    (made / "weights" / "only.onnx").unlink()
    with pytest.raises(ModelError, match=r"only\.onnx cannot be read"):
        load_manifest(made)


def test_a_file_outside_the_package_cannot_be_listed(tmp_path: Path) -> None:
    made = package(tmp_path)
    text = (made / "model.yaml").read_text()
    (made / "model.yaml").write_text(text.replace("weights/only.onnx", "../only.onnx"))
    with pytest.raises(ConfigError, match="must lie inside the package"):
        load_manifest(made)


def test_every_fault_of_a_manifest_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    made = package(tmp_path)
    text = (made / "model.yaml").read_text()
    text = text.replace("ebai_class: A", "ebai_class: D").replace("overlap: 0.0", "overlap: 1.5")
    (made / "model.yaml").write_text(text + "colour: red\n")
    with pytest.raises(ConfigError) as caught:
        load_manifest(made)
    keys = {fault.key for fault in caught.value.faults}
    assert {"ebai_class", "networks.0.overlap", "colour"} <= keys
    assert all(fault.line > 1 for fault in caught.value.faults)


@pytest.mark.parametrize("changed", ["model.yaml", "pipeline.py"])
def test_the_digest_changes_with_whatever_can_change_a_result(tmp_path: Path, changed: str) -> None:
    made = package(tmp_path)
    before = load_manifest(made).identity
    with (made / changed).open("a") as stream:
        stream.write("# one more line\n")
    after = load_manifest(made).identity
    assert after.digest != before.digest
    assert after.device_uid != before.device_uid


def test_the_digest_changes_with_resealed_weights_and_not_with_the_card(tmp_path: Path) -> None:
    made = package(tmp_path)
    before = package_digest(made)
    (made / "CARD.md").write_text("words")
    assert package_digest(made) == before
    (made / "weights" / "only.onnx").write_bytes(b"retrained")
    seal(made)
    assert package_digest(made) != before
    assert load_manifest(made).networks


def test_an_unknown_name_is_answered_with_the_installed_ones(tmp_path: Path) -> None:
    package(tmp_path)
    package(tmp_path, "other")
    registry = load_registry(tmp_path)
    assert registry.names == ("example", "other")
    with pytest.raises(ModelError, match="installed: example, other"):
        registry.get("ct_head")


def test_two_packages_of_one_name_are_refused(tmp_path: Path) -> None:
    package(tmp_path)
    twin = package(tmp_path, "twin")
    text = (twin / "model.yaml").read_text().replace("name: twin", "name: example")
    (twin / "model.yaml").write_text(text)
    with pytest.raises(ModelError, match="two packages are called 'example'"):
        load_registry(tmp_path)


ACUTE = """\
thresholds: {embolism_percent: 82.0}
acute_findings:
  embolism: {title: Embolism, code: ["59282003", SCT], severity: urgent, threshold: THRESHOLD}
"""


def test_an_acute_finding_states_the_threshold_from_which_it_counts(tmp_path: Path) -> None:
    made = package(tmp_path)
    text = (made / "model.yaml").read_text()
    (made / "model.yaml").write_text(text + ACUTE.replace("THRESHOLD", "embolism_percent"))
    (acute,) = load_manifest(made).acute
    assert (acute.name, acute.operating_threshold, acute.score) == (
        "embolism",
        82.0,
        ("111012", "DCM"),
    )
    (made / "model.yaml").write_text(text + ACUTE.replace("THRESHOLD", "embolism"))
    with pytest.raises(ConfigError, match=r"acute_findings\.embolism\.threshold: there is no"):
        load_manifest(made)


LONG_FORM = """\
    inputs:
      - {name: image, channels: [CT]}
    outputs:
      - {name: classes, channels: 27, stride: [4, 4]}
      - {name: score, channels: [benign, malignant], axes: vector}
    windows: {overlap: 0.25, batch: 2, weights: gaussian, starts: monai, padding: replicate}
    precisions: [fp32, fp16]
"""


def in_long_form(text: str) -> str:
    """The manifest with the long form of its network."""
    lines = [
        line
        for line in text.splitlines(keepends=True)
        if line.split(":")[0].strip()
        not in ("input_name", "output_name", "channels", "classes", "overlap", "batch")
    ]
    return "".join(lines).replace("format: 1", "format: 2") + LONG_FORM


def test_several_tensors_of_a_network_have_their_shapes(tmp_path: Path) -> None:
    made = package(tmp_path)
    manifest = made / "model.yaml"
    manifest.write_text(in_long_form(manifest.read_text()))

    (network,) = load_manifest(made).networks

    assert [tensor.shape(network.patch) for tensor in network.inputs] == [(1, 8, 8)]
    assert [tensor.shape(network.patch) for tensor in network.outputs] == [(27, 2, 2), (2,)]
    assert (network.windows.starts, network.windows.padding) == ("monai", "replicate")
    assert network.outputs[1].channels == ("benign", "malignant")
    assert network.precisions == ("fp32", "fp16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("stride: [4, 4]", "stride: [4]"), "one for each axis of 'patch'"),
        (("name: score", "name: classes"), "two tensors are called 'classes'"),
        (("overlap: 0.25,", "overlap: 0.25, mirror_axes: [2],"), "there is no axis 2"),
        (("channels: 27", "channels: []"), "list their meanings, or write their number"),
        (("axes: vector", "axes: vektor"), "vector"),
        (("    windows:", "    overlap: 0.5\n    windows:"), "remove 'overlap'"),
        (("    outputs:", "    input_name: image\n    outputs:"), "remove 'input_name'"),
        (("pipeline: models.example.pipeline", "pipeline: segmentatoin"), "'segmentation'"),
    ],
)
def test_each_contradiction_of_a_network_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    made = package(tmp_path)
    manifest = made / "model.yaml"
    changed = in_long_form(manifest.read_text()).replace(*change)
    manifest.write_text(changed)

    with pytest.raises(ConfigError, match=message):
        load_manifest(made)


@pytest.mark.parametrize("place", ["weights/only.onnx", "pipeline.py", "model.yaml"])
@pytest.mark.parametrize("odd", ["pipe", "device", "nowhere", "folder"])
def test_what_is_no_file_is_refused_by_name(place: str, odd: str, tmp_path: Path) -> None:
    path = package(tmp_path) / place
    path.unlink()
    if odd == "pipe":
        os.mkfifo(path)
    elif odd == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if odd == "device" else "/nonexistent")
    with pytest.raises(ModelError, match=f"{path.name} .*install the package again"):
        load_manifest(tmp_path / "example")


def test_a_module_without_end_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (package(tmp_path) / "endless.py").open("wb") as stream:
        stream.truncate(1 << 36)
    with pytest.raises(ModelError, match=r"endless\.py is larger than 5,000,000 bytes"):
        load_manifest(tmp_path / "example")


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("job_time_s: 10", "job_time_s: 1.0e+30", "job_time_s: must be at most 86,?400"),
        ("job_memory_mb: 512", "job_memory_mb: 1000000000000", "job_memory_mb: must be at most"),
        ("title: A title", 'title: "A\\e[31mtitle"', "title: a line break or a control character"),
        ("manufacturer: Somebody", 'manufacturer: "a\\nb"', "manufacturer: a line break"),
    ],
)
def test_what_would_hang_a_worker_or_deceive_a_reader_is_refused(
    right: str, wrong: str, told: str, tmp_path: Path
) -> None:
    manifest = package(tmp_path) / "model.yaml"
    text = manifest.read_text()
    assert right in text
    manifest.write_text(text.replace(right, wrong))
    with pytest.raises(ConfigError, match=told):
        load_manifest(tmp_path / "example")
