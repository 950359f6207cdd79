"""Small bundles as trees; `write` makes folders of them, without real weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Tree = dict[str, Any]


def spleen() -> Tree:
    """An `inference.json` that is understood whole."""
    return {
        "image_key": "image",
        "device": "$torch.device('cpu')",
        "network_def": {
            "_target_": "UNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 2,
            "channels": [4, 8],
            "strides": [2],
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "@image_key"},
                {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
                {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
                {
                    "_target_": "Spacingd",
                    "keys": ["image"],
                    "pixdim": [1.5, 1.5, 2.0],
                    "mode": ["bilinear"],
                },
                {
                    "_target_": "ScaleIntensityRanged",
                    "keys": "image",
                    "a_min": -57,
                    "a_max": 164,
                    "b_min": 0,
                    "b_max": 1,
                    "clip": True,
                },
                {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [96, 96, 96],
            "sw_batch_size": 4,
            "overlap": 0.5,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "image",
                    "nearest_interp": False,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "$@nowhere + '/x'"},
            ],
        },
    }


def metadata() -> Tree:
    """Its `metadata.json`."""
    return {
        "name": "Spleen",
        "version": "0.5.3",
        "authors": "someone",
        "network_data_format": {
            "inputs": {
                "image": {"modality": "CT", "num_channels": 1, "channel_def": {"0": "image"}}
            },
            "outputs": {"pred": {"channel_def": {"0": "background", "1": "spleen"}}},
        },
    }


def write(folder: Path, config: Tree | None = None, meta: Tree | None = None) -> Path:
    """A folder with a file of weights that nobody reads here."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps(config or spleen()))
    (folder / "configs" / "metadata.json").write_text(json.dumps(meta or metadata()))
    (folder / "models" / "model.pt").write_bytes(b"weights")
    return folder
