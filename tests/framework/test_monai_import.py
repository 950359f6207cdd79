"""MONAI bundles become packages that compute what MONAI computes, or are refused by name."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest

from node.domain.errors import ImportRefused
from tests.framework.conftest import Importer
from tests.models.importers import bundles

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make import-test`")
pytest.importorskip("monai", reason="MONAI is not installed: run `make import-test`")

from tests.framework import zoo  # noqa: E402 - needs PyTorch

#: Small, so that a test takes seconds.
PATCH = [32, 32, 32]


def tiny() -> bundles.Tree:
    """The structure of the spleen bundle with a small network."""
    config = bundles.spleen()
    config["inferer"]["roi_size"] = PATCH
    return config


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return zoo.write_bundle(tmp_path / "bundle", tiny(), bundles.metadata())


def test_a_segmentation_gives_monais_logits_and_labels_on_every_geometry(
    bundle: Path, take: Importer
) -> None:
    imported = take(bundle, "monai")
    assert len(imported.draft.parity) == 4
    for row in imported.draft.parity:
        assert row.logits.largest < 1e-4
        assert row.logits.scale > 0.1
        assert row.labels is not None
        assert row.labels.lowest_dice > 0.999
    assert imported.manifest.source is not None
    assert "models/model.pt" in imported.manifest.source.files


def _change_once(
    config: bundles.Tree, change: str, before: list[bundles.Tree], behind: list[bundles.Tree]
) -> None:
    if change == "order":
        behind[1], behind[2] = behind[2], {**behind[1], "nearest_interp": True}
    elif change == "nearest":
        before[3]["mode"] = "nearest"
    elif change == "gaussian":
        config["inferer"] |= {"mode": "gaussian", "padding_mode": "replicate", "overlap": 0.25}
    elif change == "normalize":
        before[4] = {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True}
        before.append({"_target_": "ScaleIntensityd", "keys": "image", "minv": -1.0, "maxv": 1.0})
    elif change == "resize":
        before[3] = {
            "_target_": "Resized",
            "keys": "image",
            "spatial_size": [48, 40, 32],
            "mode": "trilinear",
        }
    elif change == "crop":
        before.append(
            {
                "_target_": "CropForegroundd",
                "keys": "image",
                "source_key": "image",
                "select_fn": "$lambda x: x > 0.2",
                "margin": 3,
            }
        )
        behind.append(
            {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1]}
        )


def _change_more(change: str, before: list[bundles.Tree], behind: list[bundles.Tree]) -> None:
    if change == "percentiles":
        before[4] = {
            "_target_": "ScaleIntensityRangePercentilesd",
            "keys": "image",
            "lower": 5,
            "upper": 95,
            "b_min": -1.0,
            "b_max": 1.0,
            "clip": True,
        }
    elif change == "sizes":
        before.append({"_target_": "CenterSpatialCropd", "keys": "image", "roi_size": [30, -1, 20]})
        before.append({"_target_": "SpatialPadd", "keys": "image", "spatial_size": [40, 40, 20]})
        before.append({"_target_": "DivisiblePadd", "keys": "image", "k": 8, "method": "end"})
    elif change == "channels":
        behind.insert(0, {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x[[1, 0]]"})


@pytest.mark.parametrize(
    "change",
    [
        "order",
        "nearest",
        "gaussian",
        "normalize",
        "resize",
        "crop",
        "percentiles",
        "sizes",
        "channels",
    ],
)
def test_other_steps_of_the_vocabulary_are_as_monai_has_them(
    tmp_path: Path, take: Importer, change: str
) -> None:
    config = tiny()
    before = config["preprocessing"]["transforms"]
    behind = config["postprocessing"]["transforms"]
    _change_once(config, change, before, behind)
    _change_more(change, before, behind)
    folder = zoo.write_bundle(tmp_path / "bundle", config, bundles.metadata())
    for row in take(folder, "monai").draft.parity:
        assert row.logits.largest < 1e-3
        assert row.labels is not None
        assert row.labels.equal > 0.9995


def test_a_zip_of_the_bundle_does_as_well(bundle: Path, take: Importer, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "spleen"), "zip", bundle.parent, "bundle")
    assert take(Path(archive), "monai").manifest.networks[0].patch == (32, 32, 32)


class Bomb:
    """Unpickled without care, it makes a file."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self._target}",)


@pytest.mark.parametrize("form", ["torch", "bare"])
def test_a_pickle_bomb_is_refused_by_name_and_does_nothing(
    bundle: Path, take: Importer, tmp_path: Path, form: str
) -> None:
    # Inside the bundle, where even a sandboxed process may look.
    target = tmp_path / "bundle" / "evil"
    weights = bundle / "models" / "model.pt"
    (bundle / "large_files.yml").unlink()
    if form == "torch":
        torch.save({"a": torch.zeros(2), "b": Bomb(target)}, weights)
    else:
        weights.write_bytes(pickle.dumps(Bomb(target)))
    pickle.loads(pickle.dumps(Bomb(tmp_path / "proof")))
    assert (tmp_path / "proof").exists(), "this bomb would not have worked"
    with pytest.raises(
        ImportRefused, match=r"this pickle is code: loading it would call posix\.system"
    ):
        take(bundle, "monai")
    assert not target.exists()


def test_weights_of_another_network_are_refused_with_the_keys_that_differ(
    bundle: Path, take: Importer
) -> None:
    (bundle / "large_files.yml").unlink()
    torch.save({"other.weight": torch.zeros(3)}, bundle / "models" / "model.pt")
    with pytest.raises(ImportRefused, match=r"lacking .*1 unknown \(other\.weight\)"):
        take(bundle, "monai")


def test_an_argument_of_another_monai_version_is_dropped_with_a_note_when_the_weights_fit(
    tmp_path: Path, take: Importer
) -> None:
    config = tiny()
    state = zoo.generated_weights(config, 1)
    config["network_def"]["img_size"] = [96, 96, 96]
    folder = bundles.write(tmp_path / "bundle", config)
    torch.save(state, folder / "models" / "model.pt")
    notes = take(folder, "monai").draft.card.notes
    assert any("does not know the argument `img_size`" in note for note in notes)


def test_safetensors_are_read(bundle: Path, take: Importer) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    (bundle / "models" / "model.pt").unlink()
    save_file(
        {key: value.contiguous() for key, value in state.items()},
        bundle / "models" / "model.safetensors",
    )
    assert take(bundle, "monai").manifest.networks


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_taken_with_a_note_that_says_what_it_is(
    bundle: Path, take: Importer
) -> None:
    from models.importers.faults import Faults
    from models.importers.framework.building import build_network
    from models.importers.monai_config import MonaiConfig
    from models.importers.monai_network import read_network

    weights = bundle / "models" / "model.pt"
    definition = read_network(MonaiConfig("c", tiny()), Faults())
    network, _ = build_network(definition, weights)
    torch.jit.trace(network, torch.rand(1, 1, 32, 32, 32)).save(str(bundle / "models" / "model.ts"))
    weights.unlink()
    notes = take(bundle, "monai").draft.card.notes
    assert any("TorchScript" in note for note in notes)


OWN_CODE = """
import socket
import torch

class Mine(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Conv3d(1, 2, 3, padding=1)
        self.width = width
        try:
            socket.create_connection(("127.0.0.1", 9), 1)
        except ConnectionRefusedError:
            raise RuntimeError("a network was there")
        except OSError:
            pass

    def forward(self, image):
        return self.layer(image)
"""


def test_a_bundles_own_code_runs_only_with_the_flag_and_without_network(
    tmp_path: Path, take: Importer
) -> None:
    config = tiny()
    config["network_def"] = {"_target_": "scripts.mine.Mine", "width": "$int('3') * 2"}
    config["inferer"]["overlap"] = "$float(__import__('math').sqrt(0.25))"
    folder = bundles.write(tmp_path / "bundle", config)
    (folder / "scripts").mkdir()
    (folder / "scripts" / "__init__.py").touch()
    (folder / "scripts" / "mine.py").write_text(OWN_CODE)
    layer = torch.nn.Conv3d(1, 2, 3, padding=1)
    state = {f"layer.{key}": value for key, value in layer.state_dict().items()}
    torch.save(state, folder / "models" / "model.pt")
    with pytest.raises(ImportRefused, match=r"--allow-code"):
        take(folder, "monai")
    imported = take(folder, "monai", allow_code=True)
    assert imported.manifest.networks[0].windows.overlap == 0.5
    assert any("--allow-code" in note for note in imported.draft.card.notes)


def test_a_classifier_of_pathology_tiles_keeps_torchvisions_names(
    tmp_path: Path, take: Importer
) -> None:
    folder = zoo.write_bundle(tmp_path / "bundle", *zoo.pathology_tumour())
    with zipfile.ZipFile(folder / "models" / "model.pt"):
        state = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert "features.4.0.conv1.weight" in state
    assert "features.5.0.downsample.0.weight" in state
    imported = take(folder, "monai")
    assert imported.manifest.pipeline == "tiles"
    assert all(row.logits.largest < 1e-4 for row in imported.draft.parity)


def test_a_small_retinanet_finds_monais_boxes(tmp_path: Path, take: Importer) -> None:
    config, meta = zoo.lung_nodules()
    config["backbone"] = config["backbone"].replace("resnet50", "resnet10")
    config["infer_patch_size"] = [64, 64, 32]
    form = tmp_path / "form.yaml"
    form.write_text("labels:\n  - {value: 0, name: nodule, site: [39607008, SCT, Lung]}\n")
    folder = zoo.write_bundle(tmp_path / "bundle", config, meta)
    imported = take(folder, "monai", form=form)
    assert imported.manifest.pipeline == "detection"
    assert len(imported.manifest.networks[0].outputs) == 6
    for row in imported.draft.parity:
        assert row.logits.largest < 1e-3
        assert "boxes found" in row.notes[0]
        assert not row.notes[0].startswith("0 of")


def test_a_classifier_of_volumes_gives_monais_scores(tmp_path: Path, take: Importer) -> None:
    config, meta = tiny(), bundles.metadata()
    config["network_def"] = {
        "_target_": "resnet10",
        "spatial_dims": 3,
        "n_input_channels": 1,
        "num_classes": 2,
        "pretrained": True,
    }
    before = config["preprocessing"]["transforms"]
    before.append(
        {
            "_target_": "Resized",
            "keys": "image",
            "spatial_size": [32, 32, 32],
            "mode": "trilinear",
        }
    )
    config["inferer"] = {"_target_": "SimpleInferer"}
    config["postprocessing"]["transforms"] = [
        {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
    ]
    meta["network_data_format"]["outputs"]["pred"]["channel_def"] = {"0": "edema", "1": "nodule"}
    imported = take(zoo.write_bundle(tmp_path / "bundle", config, meta), "monai")
    assert imported.manifest.pipeline == "classification"
    assert imported.manifest.results is not None
    assert [item.name for item in imported.manifest.results.classes] == ["Edema", "Nodule"]
    assert all(row.logits.largest < 1e-4 for row in imported.draft.parity)


def test_a_network_of_planes_of_a_volume_is_sent_to_the_form(
    tmp_path: Path, take: Importer
) -> None:
    config = tiny()
    config["network_def"]["spatial_dims"] = 2
    config["inferer"]["roi_size"] = [32, 32]
    folder = zoo.write_bundle(tmp_path / "bundle", config, bundles.metadata())
    with pytest.raises(ImportRefused, match="which planes of a volume"):
        take(folder, "monai")


@pytest.mark.filterwarnings("ignore")
def test_torchscript_that_needs_foreign_operators_is_refused_by_their_name(
    bundle: Path, take: Importer
) -> None:
    torch.library.define("vendor::magic", "(Tensor image) -> Tensor")
    torch.library.impl("vendor::magic", "CPU", lambda image: image * 2)

    class Vendor(torch.nn.Module):
        def forward(self, image):  # noqa: ANN001, ANN202
            return torch.ops.vendor.magic(image)

    traced = torch.jit.trace(Vendor(), torch.rand(1, 1, 32, 32, 32))
    traced.save(str(bundle / "models" / "model.ts"))
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(ImportRefused, match=r"needs the operator .*vendor::magic"):
        take(bundle, "monai")
