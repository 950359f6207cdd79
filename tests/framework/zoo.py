"""Writes bundles with the structure of MONAI's model zoo, and generated weights.

`python -m tests.framework.zoo FOLDER [NAME ...]`, run by the import environment. The networks are
the true architectures; the weights are drawn at random, normalisation statistics included, so
numerics are proved and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from models.importers.faults import Faults
from models.importers.framework import without_torchvision
from models.importers.framework.building import _build
from models.importers.monai_config import MonaiConfig
from models.importers.monai_network import read_network

LICENCE = "Apache License\nVersion 2.0, January 2004\n"
Tree = dict[str, Any]


def load(key: str = "image") -> list[Tree]:
    """How nearly every bundle begins."""
    return [
        {"_target_": "LoadImaged", "keys": f"@{key}_key"},
        {"_target_": "EnsureChannelFirstd", "keys": f"@{key}_key"},
    ]


def metadata(name: str, modality: str, channels: list[str], **more: Any) -> Tree:
    """`metadata.json`."""
    return {
        "schema": "bundle metadata",
        "version": "0.5.3",
        "monai_version": "1.4.0",
        "name": name,
        "task": "a generated bundle of the tests",
        "description": f"The structure of the zoo's {name}, with generated weights.",
        "authors": "Vigie's tests",
        "copyright": "Copyright (c) the authors",
        "intended_use": "This is an example, not to be used for diagnostic purposes",
        "references": ["A paper, 2020"],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield" if modality == "CT" else "magnitude",
                    "modality": modality,
                    "num_channels": more.pop("inputs", 1),
                    "spatial_shape": more.pop("shape", [96, 96, 96]),
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": len(channels),
                    "channel_def": {str(n): text for n, text in enumerate(channels)},
                }
            },
        },
        **more,
    }


def frame(
    network: Tree, before: list[Tree], inferer: Tree, behind: list[Tree], **more: Any
) -> Tree:
    """`inference.json` around what differs, with what every bundle has besides."""
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "/workspace/data",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": before},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': i} for i in @datalist]",
            "transform": "@preprocessing",
        },
        "inferer": inferer,
        "postprocessing": {"_target_": "Compose", "transforms": behind},
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
            }
        ],
        "run": ["$@evaluator.run()"],
        **more,
    }


def spleen() -> tuple[Tree, Tree]:
    """CT, UNet, constant windows, softmax, linear inversion, arg-max."""
    config = frame(
        {
            "_target_": "UNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 2,
            "channels": [16, 32, 64, 128, 256],
            "strides": [2, 2, 2, 2],
            "num_res_units": 2,
            "norm": "batch",
        },
        [
            *load(),
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {
                "_target_": "Spacingd",
                "keys": "@image_key",
                "pixdim": [1.5, 1.5, 2.0],
                "mode": "bilinear",
            },
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "@image_key",
                "a_min": -57,
                "a_max": 164,
                "b_min": 0,
                "b_max": 1,
                "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "@image_key", "device": "@device"},
        ],
        {
            "_target_": "SlidingWindowInferer",
            "roi_size": [96, 96, 96],
            "sw_batch_size": 4,
            "overlap": 0.5,
        },
        [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {
                "_target_": "Invertd",
                "keys": "pred",
                "transform": "@preprocessing",
                "orig_keys": "@image_key",
                "nearest_interp": False,
                "to_tensor": True,
            },
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ],
    )
    return config, metadata("Spleen CT segmentation", "CT", ["background", "spleen"])


def whole_body() -> tuple[Tree, Tree]:
    """CT, SegResNet of 105 classes, Gaussian windows, arg-max, nearest inversion."""
    config = frame(
        {
            "_target_": "SegResNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 105,
            "init_filters": 32,
            "blocks_down": [1, 2, 2, 4],
            "blocks_up": [1, 1, 1],
            "dropout_prob": 0.2,
        },
        [
            {"_target_": "LoadImaged", "keys": "@image_key"},
            {"_target_": "EnsureTyped", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {
                "_target_": "Spacingd",
                "keys": "@image_key",
                "pixdim": "$[1.5, 1.5, 1.5] if @displayable_configs#highres else [3.0, 3.0, 3.0]",
                "mode": "bilinear",
            },
            {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True},
            {"_target_": "ScaleIntensityd", "keys": "@image_key", "minv": -1.0, "maxv": 1.0},
        ],
        {
            "_target_": "SlidingWindowInferer",
            "roi_size": [96, 96, 96],
            "sw_batch_size": "@displayable_configs#sw_batch_size",
            "overlap": "@displayable_configs#sw_overlap",
            "padding_mode": "replicate",
            "mode": "gaussian",
            "device": "@device",
        },
        [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {
                "_target_": "Invertd",
                "keys": "pred",
                "transform": "@preprocessing",
                "orig_keys": "@image_key",
                "nearest_interp": True,
                "to_tensor": True,
            },
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ],
        displayable_configs={"highres": True, "sw_overlap": 0.25, "sw_batch_size": 1},
        modelname="$'model.pt' if @displayable_configs#highres == True else 'model_lowres.pt'",
        handlers=[
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/' + @modelname",
                "load_dict": {"model": "@network"},
            }
        ],
    )
    return config, metadata("Whole body CT segmentation", "CT", WHOLE_BODY)


def lung_nodules() -> tuple[Tree, Tree]:
    """CT, RetinaNet of a ResNet-50 with a feature pyramid."""
    config = frame(
        {
            "_target_": "RetinaNet",
            "spatial_dims": "@spatial_dims",
            "num_classes": "@num_classes",
            "num_anchors": 3,
            "feature_extractor": "@feature_extractor",
            "size_divisible": "@size_divisible",
            "use_list_output": False,
        },
        [
            *load(),
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [0.703125, 0.703125, 1.25]},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "@image_key",
                "a_min": -1024.0,
                "a_max": 300.0,
                "b_min": 0.0,
                "b_max": 1.0,
                "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "@image_key"},
        ],
        {"_target_": "scripts.detection_inferer.RetinaNetInferer", "detector": "@detector"},
        [
            {
                "_target_": "ClipBoxToImaged",
                "box_keys": "box",
                "label_keys": ["label", "label_scores"],
                "box_ref_image_keys": "@image_key",
                "remove_empty": True,
            },
            {
                "_target_": "AffineBoxToWorldCoordinated",
                "box_keys": "box",
                "box_ref_image_keys": "@image_key",
                "affine_lps_to_ras": True,
            },
            {
                "_target_": "ConvertBoxModed",
                "box_keys": "box",
                "src_mode": "xyzxyz",
                "dst_mode": "cccwhd",
            },
            {"_target_": "DeleteItemsd", "keys": "@image_key"},
        ],
        spatial_dims=3,
        num_classes=1,
        size_divisible=[16, 16, 8],
        infer_patch_size=[512, 512, 192],
        returned_layers=[1, 2],
        base_anchor_shapes=[[6, 8, 4], [8, 6, 5], [10, 10, 6]],
        anchor_generator={
            "_target_": "monai.apps.detection.utils.anchor_utils.AnchorGeneratorWithAnchorShape",
            "feature_map_scales": "$[2**l for l in range(0, len(@returned_layers)+1)]",
            "base_anchor_shapes": "@base_anchor_shapes",
        },
        backbone=(
            "$monai.networks.nets.resnet50(spatial_dims=3, n_input_channels=1, "
            "conv1_t_stride=[2, 2, 1], conv1_t_size=[7, 7, 7])"
        ),
        feature_extractor=(
            "$monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor("
            "@backbone, 3, False, @returned_layers, None)"
        ),
        detector={
            "_target_": "monai.apps.detection.networks.retinanet_detector.RetinaNetDetector",
            "network": "@network",
            "anchor_generator": "@anchor_generator",
            "debug": False,
            "spatial_dims": "@spatial_dims",
            "num_classes": "@num_classes",
            "size_divisible": "@size_divisible",
        },
        detector_ops=[
            "$@detector.set_target_keys(box_key='box', label_key='label')",
            "$@detector.set_box_selector_parameters(score_thresh=0.02, "
            "topk_candidates_per_level=1000, nms_thresh=0.22, detections_per_img=300)",
            "$@detector.set_sliding_window_inferer(roi_size=@infer_patch_size, overlap=0.25, "
            "sw_batch_size=1, mode='constant', device='cpu')",
        ],
    )
    return config, metadata("Lung nodule CT detection", "CT", ["lung nodule"])


def pathology_tumour() -> tuple[Tree, Tree]:
    """Slides, torchvision's ResNet-18 as a fully convolutional classifier."""
    config = frame(
        {
            "_target_": "TorchVisionFCModel",
            "model_name": "resnet18",
            "num_classes": 1,
            "use_conv": True,
            "pretrained": True,
        },
        [
            {"_target_": "CastToTyped", "keys": "image", "dtype": "float32"},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "image",
                "a_min": 0.0,
                "a_max": 255.0,
                "b_min": -1.0,
                "b_max": 1.0,
            },
        ],
        {"_target_": "SimpleInferer"},
        [
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "ToNumpyd", "keys": "pred"},
        ],
    )
    meta = metadata(
        "Pathology tumor detection", "histopathology", ["metastasis"], inputs=3, shape=[224, 224]
    )
    meta["network_data_format"]["inputs"]["image"]["channel_def"] = {"0": "R", "1": "G", "2": "B"}
    return config, meta


BUNDLES: Mapping[str, Callable[[], tuple[Tree, Tree]]] = {
    "spleen_ct_segmentation": spleen,
    "wholeBody_ct_segmentation": whole_body,
    "lung_nodule_ct_detection": lung_nodules,
    "pathology_tumor_detection": pathology_tumour,
}


def write_bundle(folder: Path, config: Tree, meta: Tree, *, seed: int = 1) -> Path:
    """Configuration, generated weights and their digest."""
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    (folder / "models").mkdir(exist_ok=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config, indent=4))
    (folder / "configs" / "metadata.json").write_text(json.dumps(meta, indent=4))
    (folder / "LICENSE").write_text(LICENCE)
    weights = folder / "models" / "model.pt"
    torch.save(generated_weights(config, seed), weights)
    digest = hashlib.md5(weights.read_bytes()).hexdigest()
    (folder / "large_files.yml").write_text(
        "large_files:\n- path: models/model.pt\n  url: https://example.invalid/model.pt\n"
        f"  hash_val: {digest}\n  hash_type: md5\n"
    )
    return folder


def generated_weights(config: Tree, seed: int) -> dict[str, torch.Tensor]:
    """A state dictionary: the network's own initial values, statistics of normalisation drawn."""
    without_torchvision.provide()
    torch.manual_seed(seed)
    faults = Faults()
    definition = read_network(MonaiConfig("inference.json", config), faults)
    faults.refuse()
    assert definition is not None
    network = _build(definition, [])
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif value.ndim == 1 and key.endswith("weight"):
            value.uniform_(0.8, 1.2)
    for name in ("classification_head", "regression_head"):
        for key, value in state.items():
            # Initial heads are almost silent: nothing would be above the score threshold.
            if key.startswith(name) and value.ndim > 1:
                value.normal_(0, (2.0 / value[0].numel()) ** 0.5)
            if key == f"{name}.cls_logits.bias":
                value.fill_(-3.0)
    return dict(state)


_SIDES = ("left", "right")
WHOLE_BODY = [
    "background",
    *("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "aorta"),
    *("inferior_vena_cava", "portal_vein_and_splenic_vein", "pancreas", "adrenal_gland_right"),
    *("adrenal_gland_left", "lung_upper_lobe_left", "lung_lower_lobe_left"),
    *("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"),
    *(f"vertebrae_L{n}" for n in range(5, 0, -1)),
    *(f"vertebrae_T{n}" for n in range(12, 0, -1)),
    *(f"vertebrae_C{n}" for n in range(7, 0, -1)),
    *("esophagus", "trachea", "heart_myocardium", "heart_atrium_left", "heart_ventricle_left"),
    *("heart_atrium_right", "heart_ventricle_right", "pulmonary_artery", "brain"),
    *("iliac_artery_left", "iliac_artery_right", "iliac_vena_left", "iliac_vena_right"),
    *("small_bowel", "duodenum", "colon"),
    *(f"rib_{side}_{n}" for side in _SIDES for n in range(1, 13)),
    *(
        f"{name}_{side}"
        for name in ("humerus", "scapula", "clavicula", "femur", "hip")
        for side in _SIDES
    ),
    *("sacrum", "face"),
    *(
        f"{name}_{side}"
        for name in (
            "gluteus_maximus",
            "gluteus_medius",
            "gluteus_minimus",
            "autochthon",
            "iliopsoas",
        )
        for side in _SIDES
    ),
    "urinary_bladder",
]


def main(arguments: list[str]) -> int:
    """Write the named bundles, or all."""
    out = Path(arguments[0])
    for name in arguments[1:] or BUNDLES:
        write_bundle(out / name, *BUNDLES[name]())
        sys.stdout.write(f"{out / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
