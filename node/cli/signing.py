"""`models sign`, `models keygen`: who answers for a package."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.manifest import ModelManifest
from models.registry import load_manifest
from models.signature import SIGNATURE_NAME, make_keys, sign
from node.cli.command import Exit
from node.packages import MODELS_FOLDER


def is_signed(manifest: ModelManifest) -> bool:
    """True when it carries a signature, of whomever."""
    return (manifest.folder / SIGNATURE_NAME).is_file()


def _sign(options: argparse.Namespace) -> int:
    """Sign one package, after its files were verified."""
    folder = options.package if options.package.is_dir() else MODELS_FOLDER / options.package
    manifest = load_manifest(folder)
    key = sign(manifest, options.key)
    print(f"{folder / SIGNATURE_NAME}: version {manifest.identity.version} signed, key {key[:16]}")
    return Exit.GOOD


def _keygen(options: argparse.Namespace) -> int:
    public_key = make_keys(options.file)
    print(
        f"{options.file}: private key, readable by you only; keep it off the node\n"
        f"{public_key}: public key; copy it into the folder of signatures.keys"
    )
    return Exit.GOOD


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `sign` and `keygen`."""
    signing = actions.add_parser("sign", help="sign a package", description="Sign a package.")
    signing.add_argument("package", type=Path, metavar="NAME", help="a package, or its folder")
    signing.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="the private key, PEM"
    )
    signing.set_defaults(act=_sign)
    making = actions.add_parser(
        "keygen", help="make a pair of keys", description="Make a pair of keys (Ed25519)."
    )
    making.add_argument("file", type=Path, metavar="FILE", help="where the private key goes")
    making.set_defaults(act=_keygen)
