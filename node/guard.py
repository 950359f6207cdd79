"""Refuses to start beside installed packages that bear the names of our folders.

`config`, `inference`, `node` and `scp` exist as distributions on public indexes. Installed into
the same environment they are imported instead of ours, or mixed with ours, without a word.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import packages_distributions

from node.domain.errors import ConfigError

OURS = frozenset({"node", "scp", "inference", "dicom_sr", "models", "config"})
ENGINES = frozenset({"onnxruntime", "onnxruntime-gpu"})


def check_environment(
    installed: dict[str, list[str]] | None = None, *, ours: Collection[str] = OURS
) -> None:
    """Look at what the environment has installed.

    Args:
        installed: import name -> distributions that provide it; None reads the environment.

    Raises:
        ConfigError: a foreign package shadows a folder of ours, or both builds of ONNX
            Runtime are installed (they overwrite each other's files).
    """
    found: dict[str, list[str]] = dict(packages_distributions()) if installed is None else installed
    strangers = sorted(name for name in ours if name in found)
    if strangers:
        owners = sorted({owner for name in strangers for owner in found[name]})
        raise ConfigError(
            f"installed packages shadow folders of Vigie: {', '.join(strangers)} "
            f"(from {', '.join(owners)}) - run `pip uninstall {' '.join(owners)}`, or build the "
            "environment anew with `make setup`"
        )
    engines = sorted(ENGINES & {owner.lower() for owner in found.get("onnxruntime", ())})
    if len(engines) > 1:
        raise ConfigError(
            "onnxruntime and onnxruntime-gpu are both installed and break each other - keep one: "
            "uninstall both, then install the one for this machine"
        )
