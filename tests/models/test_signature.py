"""Only packages that somebody known answers for run, and not a byte of them changed since."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.registry import load_manifest
from models.signature import SIGNATURE_NAME, Trust, key_ring, load_trusted, make_keys, sign, verify
from node.domain.errors import ModelError
from tests.models.test_registry import package


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; its public half lies in `ring`."""
    private_key = tmp_path / "maker.pem"
    public_key = make_keys(private_key)
    ring = tmp_path / "ring"
    ring.mkdir()
    (ring / "maker.pem").write_bytes(public_key.read_bytes())
    return private_key


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(keys=tmp_path / "ring")


def test_a_signed_package_is_of_whom_it_says(tmp_path: Path, key: Path, trust: Trust) -> None:
    made = package(tmp_path)
    sign(load_manifest(made), key)

    assert verify(load_manifest(made), trust) == "maker"


def test_the_private_key_is_readable_by_its_owner_only(key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ModelError, match="exists and is not replaced"):
        make_keys(key)


def test_an_unsigned_package_runs_only_where_the_site_says_so(tmp_path: Path, trust: Trust) -> None:
    (tmp_path / "ring").mkdir()
    made = package(tmp_path)

    with pytest.raises(ModelError, match=r"example carries no signature.*models.example"):
        load_trusted(made, trust)
    assert verify(load_manifest(made), Trust(unsigned=frozenset({"example"}))) == ""


@pytest.mark.parametrize("unsigned", [frozenset(), frozenset({"example"})])
def test_a_change_after_signing_is_refused_even_where_unsigned_ones_run(
    tmp_path: Path, key: Path, unsigned: frozenset[str]
) -> None:
    made = package(tmp_path)
    sign(load_manifest(made), key)
    manifest = made / "model.yaml"
    manifest.write_text(manifest.read_text().replace("max_spacing_mm: 5.0", "max_spacing_mm: 50.0"))

    with pytest.raises(ModelError, match="example: it was signed for other bytes"):
        load_trusted(made, Trust(keys=tmp_path / "ring", unsigned=unsigned))


def test_changed_code_of_a_signed_package_is_refused(
    tmp_path: Path, key: Path, trust: Trust
) -> None:
    made = package(tmp_path)
    sign(load_manifest(made), key)
    (made / "pipeline.py").write_text("def analyse(request): ...\n")

    with pytest.raises(ModelError, match="signed for other bytes"):
        load_trusted(made, trust)


def test_a_signature_of_a_stranger_is_refused_by_name(tmp_path: Path, trust: Trust) -> None:
    (tmp_path / "ring").mkdir()
    made = package(tmp_path)
    make_keys(tmp_path / "stranger.pem")
    sign(load_manifest(made), tmp_path / "stranger.pem")

    with pytest.raises(ModelError, match="example is signed by nobody whose key is known here"):
        load_trusted(made, trust)


def test_a_statement_that_was_exchanged_is_refused(tmp_path: Path, key: Path, trust: Trust) -> None:
    made, other = package(tmp_path / "a"), package(tmp_path / "b")
    (other / "pipeline.py").write_text("raise SystemExit\n")
    for folder in (made, other):
        sign(load_manifest(folder), key)
    stored = json.loads((made / SIGNATURE_NAME).read_text())
    stored["payload"] = json.loads((other / SIGNATURE_NAME).read_text())["payload"]
    (other / SIGNATURE_NAME).write_text(json.dumps(stored))

    with pytest.raises(ModelError, match="does not fit its own statement"):
        load_trusted(other, trust)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"payload": 1}', '{"payload": "", "payloadType": "", "signatures": 3}'],
)
def test_what_is_no_signature_is_named(tmp_path: Path, key: Path, trust: Trust, text: str) -> None:
    made = package(tmp_path)
    (made / SIGNATURE_NAME).write_text(text)

    with pytest.raises(ModelError, match=r"signature.json (is no signature|signs something else)"):
        load_trusted(made, trust)


def test_a_private_key_in_the_ring_is_told(tmp_path: Path, key: Path) -> None:
    (tmp_path / "ring" / "mistake.pem").write_bytes(key.read_bytes())

    with pytest.raises(ModelError, match=r"mistake.pem is not a public key.*keep only public keys"):
        key_ring(tmp_path / "ring")


def test_a_ring_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"signatures.keys: .* cannot be read"):
        key_ring(tmp_path / "nowhere")


def test_the_signer_is_the_one_whose_signature_holds(
    tmp_path: Path, key: Path, trust: Trust
) -> None:
    other = make_keys(tmp_path / "another.pem")
    (tmp_path / "ring" / "another.pem").write_bytes(other.read_bytes())
    made = package(tmp_path)
    manifest = load_manifest(made)
    sign(manifest, tmp_path / "another.pem")
    path = made / SIGNATURE_NAME
    strange = json.loads(path.read_bytes())["signatures"][0]
    sign(manifest, key)
    stored = json.loads(path.read_bytes())
    # A name that stands in the file, over a signature that was made for something else.
    strange["sig"] = stored["signatures"][0]["sig"]
    stored["signatures"].append(strange)
    path.write_text(json.dumps(stored))

    assert verify(manifest, trust) == "maker"


def test_a_folder_that_takes_no_signature_is_named(tmp_path: Path, key: Path) -> None:
    made = package(tmp_path)
    (made / SIGNATURE_NAME).mkdir()
    with pytest.raises(ModelError, match=r"signature\.json cannot be written"):
        sign(load_manifest(made), key)
