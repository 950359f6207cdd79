"""A vendor's ONNX file with a short form: taken over exactly, or refused with every fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.domain.errors import ConfigError, ImportRefused
from node.importing.form_template import print_form
from node.importing.importer import ImportOptions, opened_request
from node.importing.sandbox import Sandbox
from tests.framework.conftest import Importer

onnx = pytest.importorskip("onnx", reason="ONNX is not installed: run `make import-test`")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - needs onnx

FORM = """
title: Bright and brighter
modality: CT
orientation: RAS
spacing_mm: [2.0, 2.0, 2.5]
intensity: {range: {source: [-200, 300], to: [0, 1]}}
channels: [CT]
patch: [24, 24, 16]
activation: softmax
intended_use: Tests.
labels:
  - {value: 1, name: spleen}
  - {value: 2, name: kidney_left}
"""


def graph(
    *,
    batch: int | str = "batch",
    sizes: tuple[Any, ...] = (24, 24, 16),
    nodes: list[Any] | None = None,
    opset: int = 17,
    classes: int = 3,
    kind: int = TensorProto.FLOAT,
) -> Any:
    """A convolution of 3 x 3 x 3 with seeded weights."""
    rng = np.random.default_rng(4)
    weights = rng.normal(0, 0.3, (classes, 1, *(3,) * len(sizes))).astype(np.float32)
    pads = [1] * (2 * len(sizes))
    # Without a bias all classes tie in air.
    bias = rng.normal(0, 0.1, classes).astype(np.float32)
    nodes = nodes or [helper.make_node("Conv", ["ct", "w", "b"], ["scores"], pads=pads)]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("ct", kind, [batch, 1, *sizes])],
            [helper.make_tensor_value_info("scores", kind, [batch, classes, *sizes])],
            [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


@pytest.fixture
def form(tmp_path: Path) -> Path:
    path = tmp_path / "form.yaml"
    path.write_text(FORM)
    return path


def save(model: Any, tmp_path: Path, **options: Any) -> Path:
    folder = tmp_path / "vendor"
    folder.mkdir(exist_ok=True)
    path = folder / "net.onnx"
    onnx.save(model, str(path), **options)
    return path


def test_file_and_form_become_a_package_that_agrees_with_monais_transforms(
    tmp_path: Path, take: Importer, form: Path
) -> None:
    pytest.importorskip("monai", reason="MONAI is not installed: run `make import-test`")
    imported = take(save(graph(), tmp_path), "onnx", form=form)
    assert imported.manifest.networks[0].input_name == "ct"
    assert len(imported.draft.parity) == 4
    for row in imported.draft.parity:
        assert row.logits.largest < 1e-4
        assert row.labels is not None
        assert row.labels.lowest_dice > 0.999


@pytest.mark.parametrize(
    "rule",
    [
        "{score: {mean: [40.0], std: [120.0], clip: [-300, 300]}}",
        "{own_score: {region: nonzero}}",
        "{own_range: [-1, 1]}",
        "{unchanged: true}",
    ],
)
def test_every_rule_of_intensity_is_computed_as_it_says(
    tmp_path: Path, take: Importer, form: Path, rule: str
) -> None:
    pytest.importorskip("monai", reason="MONAI is not installed: run `make import-test`")
    lines = [
        f"intensity: {rule}" if line.startswith("intensity") else line for line in FORM.splitlines()
    ]
    form.write_text("\n".join(lines))
    for row in take(save(graph(), tmp_path), "onnx", form=form).draft.parity:
        assert row.preprocessed is not None
        assert row.preprocessed.largest <= 1e-4 * max(1.0, row.preprocessed.scale)


def test_a_network_of_planes_looks_at_the_planes_of_the_first_axis(
    tmp_path: Path, take: Importer, form: Path
) -> None:
    pytest.importorskip("monai", reason="MONAI is not installed: run `make import-test`")
    text = FORM.replace("RAS", "SPL").replace("[2.0, 2.0, 2.5]", "[2.0, 2.0]")
    form.write_text(text.replace("[24, 24, 16]", "[24, 24]"))
    imported = take(save(graph(sizes=(24, 24)), tmp_path), "onnx", form=form)
    assert all(row.logits.largest < 1e-4 for row in imported.draft.parity)


def test_a_fixed_batch_is_freed_when_the_graph_allows_it(
    tmp_path: Path, take: Importer, form: Path
) -> None:
    pytest.importorskip("monai", reason="MONAI is not installed: run `make import-test`")
    notes = take(save(graph(batch=1), tmp_path), "onnx", form=form).draft.card.notes
    assert any("fixes its batch to 1" in note for note in notes)


def test_a_batch_that_the_graph_depends_on_is_refused_with_the_remedy(
    tmp_path: Path, take: Importer, form: Path
) -> None:
    shape = numpy_helper.from_array(np.array([1, 3, 24, 24, 16]), "shape")
    conv = helper.make_node("Conv", ["ct", "w"], ["raw"], pads=[1] * 6)
    model = graph(batch=1, nodes=[conv, helper.make_node("Reshape", ["raw", "shape"], ["scores"])])
    model.graph.initializer.append(shape)
    with pytest.raises(ImportRefused, match=r"batch is fixed to 1.*dynamic_axes"):
        take(save(model, tmp_path), "onnx", form=form)


def test_unknown_operators_and_domains_are_named(
    tmp_path: Path, take: Importer, form: Path
) -> None:
    nodes = [
        helper.make_node("Magic", ["ct"], ["a"], domain="com.vendor"),
        helper.make_node("Sorcery", ["a"], ["scores"]),
    ]
    model = graph(nodes=nodes)
    model.opset_import.append(helper.make_opsetid("com.vendor", 1))
    with pytest.raises(ImportRefused) as caught:
        take(save(model, tmp_path), "onnx", form=form)
    told = str(caught.value)
    assert "operator com.vendor::Magic" in told
    assert "operator ai.onnx::Sorcery" in told
    assert "the domain 'com.vendor' is not known" in told


def test_versions_from_the_future_are_named(tmp_path: Path, take: Importer, form: Path) -> None:
    model = graph(opset=99)
    model.ir_version = 99
    with pytest.raises(ImportRefused) as caught:
        take(save(model, tmp_path), "onnx", form=form)
    assert "IR version: it is 99" in str(caught.value)
    assert "version 99 of ai.onnx" in str(caught.value)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "missing.bin", "link.bin"])
def test_weights_outside_the_folder_are_refused(
    tmp_path: Path, take: Importer, form: Path, location: str
) -> None:
    path = save(graph(), tmp_path)
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    (path.parent / "link.bin").symlink_to(tmp_path / "secret.bin")
    model = onnx.load(str(path))
    tensor = model.graph.initializer[0]
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ImportRefused, match=r"outside the folder|which is missing"):
        take(path, "onnx", form=form)


def test_weights_beside_the_file_are_brought_into_the_one_file(
    tmp_path: Path, take: Importer, form: Path
) -> None:
    pytest.importorskip("monai", reason="MONAI is not installed: run `make import-test`")
    path = save(graph(), tmp_path, save_as_external_data=True, location="net.bin", size_threshold=0)
    assert (path.parent / "net.bin").exists()
    imported = take(path, "onnx", form=form)
    assert imported.manifest.networks


def test_of_the_folder_only_the_file_and_its_own_weights_are_readable(
    tmp_path: Path, take: Importer, form: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = {"save_as_external_data": True, "location": "net.bin", "size_threshold": 0}
    path = save(graph(), tmp_path, **beside)
    (path.parent / "patients.csv").write_text("x")
    seen: list[tuple[Path, ...]] = []
    ran = Sandbox.run

    def noting(box: Sandbox, *more: Any) -> Any:
        seen.append(box.readable)
        return ran(box, *more)

    monkeypatch.setattr(Sandbox, "run", noting)
    take(path, "onnx", form=form)
    assert seen[0] == (path,)
    assert set(seen[1]) == {path, path.with_name("net.bin")}
    assert all(path.parent not in one for one in seen)


def test_what_is_no_onnx_file_or_takes_other_types_is_told(
    tmp_path: Path, take: Importer, form: Path
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x80\x04 nonsense")
    with pytest.raises(ImportRefused, match=r"no ONNX file|no graph"):
        take(path, "onnx", form=form)
    identity = [helper.make_node("Identity", ["ct"], ["scores"])]
    model = graph(kind=TensorProto.DOUBLE, nodes=identity, classes=1)
    with pytest.raises(ImportRefused, match="it takes DOUBLE"):
        take(save(model, tmp_path), "onnx", form=form)


def test_everything_that_the_form_leaves_open_is_asked_for_at_once(
    tmp_path: Path, take: Importer
) -> None:
    with pytest.raises(ImportRefused) as caught:
        take(save(graph(), tmp_path), "onnx")
    told = str(caught.value)
    for key in (
        "modality",
        "channels",
        "intensity",
        "activation",
        "labels",
        "spacing_mm",
        "orientation",
    ):
        assert f"form: {key}: it is missing" in told


def test_a_form_that_contradicts_the_file_is_refused(
    tmp_path: Path, take: Importer, form: Path
) -> None:
    form.write_text(FORM.replace("[24, 24, 16]", "[24, 24, 8]"))
    with pytest.raises(ImportRefused, match="takes 24 x 24 x 16, the form says 24 x 24 x 8"):
        take(save(graph(), tmp_path), "onnx", form=form)
    form.write_text(FORM.replace("value: 2", "value: 7"))
    with pytest.raises(ImportRefused, match="label 7, but the output 'scores' has 3 channels"):
        take(save(graph(), tmp_path), "onnx", form=form)
    form.write_text(FORM.replace("orientation: RAS", "orientation: RRS"))
    with pytest.raises(ConfigError, match="orientation"):
        take(save(graph(), tmp_path), "onnx", form=form)


def test_the_printed_form_holds_what_the_file_says_and_asks_for_the_rest(tmp_path: Path) -> None:
    import sys

    options = ImportOptions(python=Path(sys.executable))
    with opened_request(save(graph(), tmp_path), "net", options, lambda _: None) as request:
        text = print_form(request, "onnx")
    assert "patch: [24, 24, 16]" in text
    assert "modality: ~" in text
    assert "- {value: 2, name: ~}" in text
    assert "the graph ends with Conv" in text
