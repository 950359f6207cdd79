"""The examples of models/PACKAGE.md as packages on disk, with tiny networks behind them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from models.manifest import ModelManifest
from models.registry import load_manifest
from models.seal import seal

ROOT = Path(__file__).parents[3]
NETWORKS = Path(__file__).parent / "networks"
_EXAMPLE = re.compile(
    r"<!-- example: (?P<word>[a-z_0-9]+) -->\n```yaml\n(?P<text>.*?)```", re.DOTALL
)


def examples() -> dict[str, str]:
    """The text of each example, by its word."""
    page = (ROOT / "models" / "PACKAGE.md").read_text(encoding="utf-8")
    return {match["word"]: match["text"] for match in _EXAMPLE.finditer(page)}


def package(
    word: str, models: Path, change: Callable[[str], str] = lambda text: text, name: str = ""
) -> Path:
    """A folder below `models` with one example; its networks are copied, its digests sealed."""
    text = change(examples()[word])
    folder = models / (name or f"example_{word}")
    (folder / "weights").mkdir(parents=True)
    for network in set(re.findall(r"weights/([a-z_]+\.onnx)", text)):
        shutil.copy(NETWORKS / network, folder / "weights" / network)
    (folder / "model.yaml").write_text(text, encoding="utf-8")
    seal(folder)
    return folder


def manifest(word: str, models: Path, change: Callable[[str], str] = lambda t: t) -> ModelManifest:
    """The same, read as the node reads it."""
    return load_manifest(package(word, models, change))
