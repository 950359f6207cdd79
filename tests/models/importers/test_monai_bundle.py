"""A MONAI bundle is read as data: what is understood becomes steps, the rest is named."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from models.importers.monai_bundle import read_bundle
from models.importers.monai_config import MonaiConfig, read_tree
from models.importers.monai_values import Component, Unknown
from node.domain.errors import ImportRefused
from tests.models.importers import bundles


def test_every_part_of_the_zoos_spleen_bundle_becomes_data(tmp_path: Path) -> None:
    found = read_bundle(bundles.write(tmp_path / "spleen"))
    assert found.network is not None
    assert found.network["build"] == "UNet"
    assert found.before == (
        {"step": "orient", "axes": "RAS"},
        {
            "step": "spacing",
            "spacing_mm": [1.5, 1.5, 2.0],
            "interpolation": "linear",
            "grid": "monai",
        },
        {"step": "scale_range", "from": [-57, 164], "to": [0, 1], "clip": True},
    )
    assert found.behind == (
        {"step": "softmax"},
        {"step": "invert", "interpolation": "linear"},
        {"step": "argmax"},
    )
    assert found.inference.patch == (96, 96, 96)
    # MONAI's default weights are constant, not Gaussian.
    assert found.inference.windows["weights"] == "constant"
    assert found.inference.windows["starts"] == "monai"
    assert found.metadata.modality == "CT"
    assert found.metadata.output_channels == ("background", "spleen")


def _faults(tmp_path: Path, config: bundles.Tree, **more: Any) -> str:
    with pytest.raises(ImportRefused) as caught:
        read_bundle(bundles.write(tmp_path / "bundle", config, **more))
    return str(caught.value)


def test_all_that_is_not_understood_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    config = bundles.spleen()
    transforms = config["preprocessing"]["transforms"]
    transforms.append({"_target_": "RandFlipd", "keys": "image"})
    transforms.append({"_target_": "scripts.mine.Secretd", "keys": "image"})
    transforms[3]["padding_mode"] = "zeros"
    config["inferer"]["overlap"] = "$compute()"
    told = _faults(tmp_path, config)
    assert "preprocessing#transforms#6: the transform `RandFlipd` is unknown" in told
    assert "preprocessing#transforms#7: `scripts.mine.Secretd` is Python" in told
    assert "Spacingd: `padding_mode: zeros` is not supported" in told
    assert "inferer" in told
    assert "compute" in told


def test_an_argument_that_nobody_knows_is_never_passed_over(tmp_path: Path) -> None:
    config = bundles.spleen()
    config["preprocessing"]["transforms"][4]["gamma"] = 2
    assert "the argument `gamma` is unknown" in _faults(tmp_path, config)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("scripts.networks.MyNet", "the bundle's own Python.*--allow-code"),
        ("torch.nn.Linear", "not in the vocabulary"),
        ("HoVerNet", "not in the vocabulary"),
        ("os.system", "not in the vocabulary"),
        ("monai.networks.nets.unet.NoSuchNet", "not in the vocabulary"),
        ("evil.networks.UNet", "not in the vocabulary"),
        ("$monai.networks.nets.UNet", "is computed"),
    ],
)
def test_a_network_outside_the_vocabulary_is_named(tmp_path: Path, target: str, told: str) -> None:
    config = bundles.spleen()
    config["network_def"]["_target_"] = target
    with pytest.raises(ImportRefused, match=told):
        read_bundle(bundles.write(tmp_path / "bundle", config))


def test_code_that_no_needed_value_depends_on_is_no_fault(tmp_path: Path) -> None:
    config = bundles.spleen()
    config["datalist"] = "$list(sorted(glob.glob('/data/*.nii.gz')))"
    config["evaluator"] = {"_target_": "SupervisedEvaluator", "device": "@device"}
    config["run"] = ["$@evaluator.run()"]
    read_bundle(bundles.write(tmp_path / "bundle", config))


def test_weights_that_would_be_downloaded_are_not(tmp_path: Path) -> None:
    config = bundles.spleen()
    config["network_def"] = {"_target_": "DenseNet121", "spatial_dims": 2, "pretrained": True}
    found = read_bundle(bundles.write(tmp_path / "bundle", config))
    assert found.network is not None
    assert found.network["arguments"]["pretrained"] is False
    assert any("pretrained" in note for note in found.notes)


def test_missing_weights_are_told_with_the_place_to_get_them(tmp_path: Path) -> None:
    folder = bundles.write(tmp_path / "bundle")
    (folder / "models" / "model.pt").unlink()
    with pytest.raises(
        ImportRefused, match=r"models/model\.pt: the weights are missing.*large_files"
    ):
        read_bundle(folder)


def test_weights_with_another_digest_than_the_zoo_states_are_refused(tmp_path: Path) -> None:
    folder = bundles.write(tmp_path / "bundle")
    listing = folder / "large_files.yml"
    text = "large_files:\n- path: models/model.pt\n  url: u\n  hash_val: {}\n  hash_type: md5\n"
    listing.write_text(text.format(hashlib.md5(b"weights").hexdigest()))
    assert read_bundle(folder).checked == "md5 of large_files.yml"
    listing.write_text(text.format("0" * 32))
    with pytest.raises(ImportRefused, match=f"its md5 is .*states {'0' * 32}"):
        read_bundle(folder)


def test_weights_that_are_a_link_out_of_the_bundle_are_refused(tmp_path: Path) -> None:
    folder = bundles.write(tmp_path / "bundle")
    (tmp_path / "elsewhere").write_bytes(b"x")
    (folder / "models" / "model.pt").unlink()
    (folder / "models" / "model.pt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImportRefused, match="link to elsewhere"):
        read_bundle(folder)


def test_files_read_in_lps_axes_are_oriented_as_the_bundle_sees_them(tmp_path: Path) -> None:
    config = bundles.spleen()
    config["preprocessing"]["transforms"][0]["reader"] = (
        "$monai.data.ITKReader(affine_lps_to_ras=False)"
    )
    found = read_bundle(bundles.write(tmp_path / "bundle", config))
    # R of an LPS frame is the patient's left.
    assert found.before[0] == {"step": "orient", "axes": "LPS"}
    assert found.frame == "LPS"


def test_a_disabled_transform_is_left_out_and_a_computed_switch_is_followed(tmp_path: Path) -> None:
    config = bundles.spleen()
    config["raw"] = False
    config["preprocessing"]["transforms"].append(
        {"_target_": "RandFlipd", "keys": "image", "_disabled_": "$not @raw"}
    )
    read_bundle(bundles.write(tmp_path / "bundle", config))


def test_overlapping_masks_are_not_flattened_in_silence(tmp_path: Path) -> None:
    config, meta = bundles.spleen(), bundles.metadata()
    config["postprocessing"]["transforms"][2] = {
        "_target_": "AsDiscreted",
        "keys": "pred",
        "threshold": 0.5,
    }
    assert "gives masks that overlap" in _faults(tmp_path, config, meta=meta)


def test_references_in_a_circle_end() -> None:
    config = MonaiConfig("c", {"a": "@b", "b": "@a", "c": {"d": "$@c + 1"}})
    assert isinstance(config.value("a"), Unknown)
    assert isinstance(config.value("c")["d"], Unknown)


def test_nested_keys_and_components_are_resolved() -> None:
    config = MonaiConfig(
        "c", {"x": {"y": [1, {"z": 3}]}, "n": {"_target_": "UNet", "a": "@x#y#1#z"}}
    )
    assert config.value("x#y#1#z") == 3
    assert config.value("n") == Component("UNet", "c: n", {"a": 3})


def test_yaml_that_multiplies_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inference.yaml"
    lines = [
        "a: &a [1, 2]",
        *(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]" for n in range(12)),
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(ImportRefused, match="aliases are not read"):
        read_tree(path, "inference.yaml")


def test_yaml_that_names_python_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inference.yaml"
    path.write_text("a: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ImportRefused, match="cannot be read"):
        read_tree(path, "inference.yaml")


@pytest.mark.parametrize(
    ("forward", "back", "expected"),
    [
        ("bilinear", False, "linear"),
        ("nearest", False, "nearest"),
        ("bilinear", True, "nearest"),
    ],
)
def test_the_way_back_is_the_way_there_unless_nearest_is_asked_for(
    tmp_path: Path, forward: str, back: bool, expected: str
) -> None:
    config = bundles.spleen()
    config["preprocessing"]["transforms"][3]["mode"] = forward
    config["postprocessing"]["transforms"][1]["nearest_interp"] = back
    found = read_bundle(bundles.write(tmp_path / "bundle", config))
    assert found.behind[1] == {"step": "invert", "interpolation": expected}


def test_a_way_back_that_we_do_not_have_is_named(tmp_path: Path) -> None:
    config = bundles.spleen()
    config["preprocessing"]["transforms"][3] = {
        "_target_": "Resized",
        "keys": "image",
        "spatial_size": [64, 64, 64],
    }
    assert "it would go back by area" in _faults(tmp_path, config)
