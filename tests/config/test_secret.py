"""Secrets are only referred to, protected by their file, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.explain import explain_config, explain_rows
from config.load import load_appliance
from node.domain.errors import ConfigError

CONTENT = """\
version: 1
receiver:
  peers:
    ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}
storage: {path: ./var}
http: {metrics_token: "file:token"}
"""


def site(folder: Path, *, mode: int = 0o600, secret: bytes = b"hunter2\n") -> Path:
    """A configuration with a secret beside it."""
    token = folder / "token"
    token.write_bytes(secret)
    token.chmod(mode)
    path = folder / "appliance.yaml"
    path.write_text(CONTENT)
    return path


def test_a_secret_is_read_from_its_file_when_it_is_needed(tmp_path: Path) -> None:
    token = load_appliance(site(tmp_path), ()).http.metrics_token
    assert token is not None
    (tmp_path / "token").write_text("changed\n")
    assert token.read() == "changed"


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    path = site(tmp_path)
    appliance = load_appliance(path, ())
    shown = [repr(appliance), str(appliance), appliance.model_dump_json(), explain_config(path)]
    shown.append(str(explain_rows(path)))
    assert all("hunter2" not in text for text in shown)
    assert all(str(tmp_path / "token") in text for text in shown)


@pytest.mark.parametrize(
    ("mode", "secret", "why"),
    [
        (
            0o644,
            b"x",
            "every account of this computer can read .* - put the secret into a file of its own",
        ),
        (0o600, b"", r"is empty \(got .*\) - write the secret into it"),
        (0o600, b"x" * 70_000, "is too large for a secret"),
    ],
)
def test_a_secret_file_that_protects_nothing_is_refused(
    tmp_path: Path, mode: int, secret: bytes, why: str
) -> None:
    path = site(tmp_path, mode=mode, secret=secret)
    with pytest.raises(ConfigError, match=rf"6:23: http\.metrics_token: .*{why}"):
        load_appliance(path, ())


def test_a_secret_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    path = site(tmp_path)
    (tmp_path / "token").unlink()
    (tmp_path / "token").mkdir()
    with pytest.raises(
        ConfigError, match=r"is not a file \(got .*\) - name the file that holds the secret"
    ):
        load_appliance(path, ())


def test_a_secret_that_vanished_after_the_start_is_named(tmp_path: Path) -> None:
    token = load_appliance(site(tmp_path), ()).http.metrics_token
    assert token is not None
    (tmp_path / "token").unlink()
    with pytest.raises(ConfigError, match=r"token: this secret cannot be read .* - restore"):
        token.read()
