"""Secrets stay out of `appliance.yaml`: it only says in which file each one lies."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from config.messages import refusal
from node.domain.errors import ConfigError

PREFIX = "file:"
MAX_BYTES = 65_536
#: Container engines put secrets here, readable by all inside the container; the container
#: itself is the fence.
CONTAINER_SECRETS = Path("/run/secrets")


@dataclass(frozen=True, slots=True)
class SecretFile:
    """The place of a secret. Printing it shows the place, never the secret."""

    path: Path

    def __str__(self) -> str:
        return f"{PREFIX}{self.path}"

    def read(self) -> str:
        """The secret: the file's text without its trailing line break.

        Raises:
            ConfigError: the file was there at start and is not any more, or is not text.
        """
        try:
            return self.path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self.path}: this secret cannot be read ({type(error).__name__}) - restore the "
                "file as UTF-8 text and let the account that runs Vigie read it"
            ) from None


def read_reference(value: object, folder: Path) -> SecretFile:
    """`file:PATH`, relative to a folder, as a checked secret; refuses anything else."""
    if not isinstance(value, str) or not value.startswith(PREFIX):
        raise refusal(
            "a secret does not belong in this file",
            "put it alone into a file (chmod 600) and write 'file:/path/to/that/file' here; "
            "then replace the secret by a new one, since this one has been in the open",
        )
    name = value.removeprefix(PREFIX).strip()
    if not name:
        raise refusal("the path is missing", "write 'file:/path/to/the/secret'")
    path = Path(os.path.normpath(folder / Path(name.removeprefix("//")).expanduser()))
    _check(path)
    return SecretFile(path)


def _check(path: Path) -> None:
    try:
        status = path.stat()
    except PermissionError:
        raise _unreadable(path) from None
    except OSError:
        raise refusal(
            f"the secret file {path} does not exist", "create it (chmod 600) or correct the path"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise refusal(f"{path} is not a file", "name the file that holds the secret")
    if status.st_mode & stat.S_IROTH and CONTAINER_SECRETS not in path.parents:
        raise refusal(
            f"every account of this computer can read {path}",
            "put the secret into a file of its own that only Vigie's account reads (chmod 600)",
        )
    if not os.access(path, os.R_OK):
        raise _unreadable(path)
    if status.st_size == 0:
        raise refusal(f"the secret file {path} is empty", "write the secret into it")
    if status.st_size > MAX_BYTES:
        raise refusal(f"{path} is too large for a secret", "name the file that holds the secret")


def _unreadable(path: Path) -> Exception:
    return refusal(
        f"this account may not read the secret file {path}",
        "run this as the account of Vigie, or give the file to it (chown)",
    )
