"""Who answers for a package: a signature over its digest, checked against the site's key ring.

`signature.json` in the package's folder is a DSSE envelope (Dead Simple Signing Envelope, v1)
over name, version and digest of the package; the digest covers `model.yaml`, which states the
digest of every weight file, and the package's own code. It is read and verified without
running anything of the package.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from models.manifest import ModelManifest
from models.registry import load_manifest
from node.domain.errors import ModelError

SIGNATURE_NAME = "signature.json"
PAYLOAD_TYPE = "application/vnd.vigie.model-package.v1+json"
#: Larger is no envelope of ours, and is not read.
_LARGEST_BYTES = 65_536
_PRIVATE_MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose packages may run here.

    Attributes:
        keys: folder of public keys, one `NAME.pem` each; None where the site has no ring.
        unsigned: packages that may run without a signature.
    """

    keys: Path | None = None
    unsigned: frozenset[str] = frozenset()


def load_trusted(folder: Path, trust: Trust) -> ModelManifest:
    """Read a package, verify its files and its signature; nothing of it is run.

    Raises:
        ConfigError: `model.yaml` cannot be used; one line per fault.
        ModelError: a listed file is missing or changed, or the signature does not satisfy.
    """
    manifest = load_manifest(folder)
    verify(manifest, trust)
    return manifest


def verify(manifest: ModelManifest, trust: Trust) -> str:
    """Check the signature of a package, whose files were verified against its manifest.

    Returns:
        The name of the key that signed it (the file's name in the ring); "" for a package
        that may run unsigned and carries no signature of a known key.

    Raises:
        ModelError: it is unsigned and may not be, the signature is none, is of nobody in the
            ring, or was made for other bytes.
    """
    name = manifest.identity.name
    path = manifest.folder / SIGNATURE_NAME
    may_be_unsigned = name in trust.unsigned
    if not path.is_file():
        if may_be_unsigned:
            return ""
        raise ModelError(
            f"package {name} carries no signature ({SIGNATURE_NAME}); install a signed one, sign "
            f"it (`models sign {name} --key FILE`), or write 'unsigned: true' below "
            f"models.{name} in appliance.yaml"
        )
    envelope = _envelope(path, name)
    ring = key_ring(trust.keys) if trust.keys is not None else {}
    signers = [owner for owner, key in ring.items() if key.keyid in envelope.signatures]
    if not signers:
        if may_be_unsigned:
            return ""
        where = trust.keys or "appliance.yaml names no folder of keys (signatures.keys)"
        raise ModelError(
            f"package {name} is signed by nobody whose key is known here ({where}); put the "
            "maker's public key there, after you compared it with the maker, or install another "
            "package"
        )
    proved = _proved(envelope, [ring[owner] for owner in signers], name)
    _same(envelope.payload, manifest)
    return next(owner for owner in signers if ring[owner].keyid in proved)


def sign(manifest: ModelManifest, private_key: Path) -> str:
    """Write `signature.json` into the package, in place of an earlier one; returns the key's ID.

    Raises:
        ModelError: the key cannot be read, or is not a private key of a kind that signs; the
            folder of the package cannot be written to.
    """
    signer = _signer(private_key)
    envelope = Envelope(_statement(manifest), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    text = json.dumps(envelope.to_dict(), indent=2)
    path = manifest.folder / SIGNATURE_NAME
    try:
        path.write_text(f"{text}\n", encoding="ascii")
    except OSError as error:
        raise ModelError(
            f"{path} cannot be written ({error.strerror}); sign the package where its folder may "
            "be changed, and copy it here"
        ) from error
    return str(signer.public_key.keyid)


def make_keys(private_key: Path) -> Path:
    """Make an Ed25519 pair: `private_key`, readable by its owner only, and `NAME.pub.pem`.

    Raises:
        ModelError: a file of that name exists, or the folder cannot be written to.
    """
    public_key = private_key.with_suffix(".pub.pem")
    key = Ed25519PrivateKey.generate()
    try:
        for path in (private_key, public_key):
            if path.exists():
                raise ModelError(f"{path} exists and is not replaced; give another name")
        private_key.touch(mode=_PRIVATE_MODE)
        private_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        public_key.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be written ({error.strerror})") from error
    return public_key


def key_ring(folder: Path) -> dict[str, Key]:
    """The public keys of a folder, by the name of their file without `.pem` or `.pub.pem`.

    Raises:
        ModelError: the folder or one of its `*.pem` files cannot be read as public key.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".pem")
    except OSError as error:
        raise ModelError(
            f"signatures.keys: {folder} cannot be read ({error.strerror}); make the folder, or "
            "correct the path in appliance.yaml"
        ) from error
    return {
        path.name.removesuffix(".pem").removesuffix(".pub"): _public_key(path) for path in files
    }


def _public_key(path: Path) -> Key:
    try:
        loaded = serialization.load_pem_public_key(path.read_bytes())
        return SSlibKey.from_crypto(loaded)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ModelError(
            f"signatures.keys: {path} is not a public key ({type(error).__name__}); keep only "
            "public keys in PEM there (`models keygen` makes a pair)"
        ) from error


def _signer(path: Path) -> CryptoSigner:
    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        return CryptoSigner(loaded)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); name its file") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ModelError(
            f"{path} is not a private key in PEM without password ({type(error).__name__}); "
            "`models keygen FILE` makes one"
        ) from error


def _envelope(path: Path, name: str) -> Envelope:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError("too large")
        stored: Any = json.loads(path.read_bytes())
        envelope = Envelope.from_dict(stored)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, FormatError) as error:
        raise ModelError(
            f"package {name}: {path} is no signature ({type(error).__name__}); install the package "
            "again, or sign it again"
        ) from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise ModelError(
            f"package {name}: {path} signs something else ({envelope.payload_type[:80]!r}); "
            "install the package again, or sign it again"
        )
    return envelope


def _proved(envelope: Envelope, keys: list[Key], name: str) -> Collection[str]:
    """IDs of the keys whose signature holds; others may stand beside it."""
    try:
        return set(envelope.verify(keys, 1))
    except VerificationError as error:
        raise ModelError(
            f"package {name}: the signature does not fit its own statement; it was damaged or "
            "forged: install the package again from where you got it"
        ) from error


def _same(payload: bytes, manifest: ModelManifest) -> None:
    if payload != _statement(manifest):
        identity = manifest.identity
        raise ModelError(
            f"package {identity.name}: it was signed for other bytes than lie here (version "
            f"{identity.version}, digest {identity.digest[:16]}...); model.yaml or the code was "
            "changed after signing: install the package again, or, if you changed it on purpose, "
            "sign it again"
        )


def _statement(manifest: ModelManifest) -> bytes:
    """What is signed; the same bytes for the same package."""
    identity = manifest.identity
    stated = {"name": identity.name, "version": identity.version, "digest": identity.digest}
    return json.dumps(stated, sort_keys=True, separators=(",", ":")).encode()
