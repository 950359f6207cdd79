"""What a network file may not contain is refused before any runtime sees it, by name."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from inference.engine import EngineOptions, open_network
from inference.graph import inspect_graph
from node.domain.errors import ModelError
from tests.inference.specs import FOLDER, network_spec

SOUND = ("flat", "solid", "free", "logarithm", "endless", "two_heads", "bag", "no_numbers")


@pytest.mark.parametrize("name", SOUND)
def test_standard_networks_pass_and_the_same_cut_short_do_not(name: str) -> None:
    content = (FOLDER / f"{name}.onnx").read_bytes()
    inspect_graph(content, name)
    with pytest.raises(ModelError, match=f"network {name} "):
        inspect_graph(content[: len(content) * 2 // 3], name)


def test_the_shipped_networks_pass() -> None:
    weights = Path(__file__).parents[2] / "models/body_composition/weights"
    paths = sorted(weights.glob("*.onnx"))
    assert [path.stem for path in paths] == ["levels", "regions"]
    for path in paths:
        inspect_graph(path.read_bytes(), path.stem)


@pytest.mark.parametrize("name", ["strange_set", "strange_branch"])
def test_an_operator_of_a_foreign_set_is_refused_also_inside_a_branch(name: str) -> None:
    with pytest.raises(ModelError, match=r"operator 'Teleport' of the set 'evil\.example'"):
        inspect_graph((FOLDER / f"{name}.onnx").read_bytes(), name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("weights_beside", "in another file ('weights.bin')"),
        ("weights_above", "outside of the package ('../weights.bin')"),
        ("weights_anywhere", "outside of the package ('/etc/hostname')"),
    ],
)
def test_weights_in_another_file_are_refused_with_its_name(name: str, told: str) -> None:
    with pytest.raises(ModelError, match="no digest covers") as caught:
        inspect_graph((FOLDER / f"{name}.onnx").read_bytes(), name)
    assert told in str(caught.value)
    assert "'w'" in str(caught.value)


def test_an_operator_that_the_runtime_does_not_know_is_named() -> None:
    spec = network_spec("unknown_operator", outputs=network_spec("logarithm").outputs)
    with pytest.raises(ModelError, match=r"cannot be opened.*Teleport"):
        open_network(spec, EngineOptions())


def test_a_damaged_file_is_refused_and_never_crashes_the_reader() -> None:
    """Truncated and with flipped bytes: refused, or read as what it says; nothing else."""
    whole = (FOLDER / "strange_branch.onnx").read_bytes()
    chance = random.Random(4)
    for length in range(0, len(whole), 7):
        with pytest.raises(ModelError):
            inspect_graph(whole[:length], "x")
    for _ in range(3000):
        data = bytearray(whole)
        data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            inspect_graph(bytes(data), "x")
        except ModelError:
            continue


def test_the_file_is_inspected_before_it_is_opened() -> None:
    path = FOLDER / "weights_anywhere.onnx"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    spec = network_spec(
        "weights_anywhere", sha256=digest, outputs=network_spec("logarithm").outputs
    )
    with pytest.raises(ModelError, match="/etc/hostname"):
        open_network(spec, EngineOptions())
