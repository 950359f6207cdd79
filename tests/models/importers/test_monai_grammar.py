"""Expressions of a bundle are read by a grammar of our own; code is named and never run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from models.importers.monai_grammar import Formula, read_expression
from models.importers.monai_values import Component, Named, Unknown

VALUES = {
    "layers": [1, 2],
    "highres": True,
    "display#overlap": 0.25,
    "root": ".",
    "device": Unknown("here", "it is code"),
    "detector": Component("RetinaNetDetector", "detector"),
}


def read(text: str) -> Any:
    return read_expression(text, "key", lambda key: VALUES[key.replace("::", "#")])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("-2**2", -4),
        ("7 // 2, 7 % 2", [3, 1]),
        ("[2**l for l in range(0, len(@layers)+1)]", [1, 2, 4]),
        ("[1.5, 1.5] if @highres else [3.0, 3.0]", [1.5, 1.5]),
        ("'model.pt' if @highres == True else 'low.pt'", "model.pt"),
        ("@root + '/models/model.pt'", "./models/model.pt"),
        ("@display#overlap * 2", 0.5),
        ("@display::overlap", 0.25),
        ("@layers[-1]", 2),
        ("max(@layers) > 1 and not False", True),
        ("{'a': 1}['a']", 1),
        ("[0] * 3", [0, 0, 0]),
    ],
)
def test_literals_references_and_arithmetic_have_their_value(text: str, value: object) -> None:
    assert read(text) == value


def test_a_call_of_a_dotted_name_becomes_a_component_that_is_not_built() -> None:
    found = read("monai.networks.nets.resnet50(spatial_dims=3, n_input_channels=@layers[0])")
    assert found == Component(
        "monai.networks.nets.resnet50", "key", {"spatial_dims": 3, "n_input_channels": 1}
    )
    assert read("torch.float32") == Named("torch.float32")


def test_a_network_moved_to_a_device_is_the_same_network() -> None:
    assert read("@detector.to(@device)") == VALUES["detector"]


def test_settings_of_a_detector_become_a_component_by_the_name_of_the_method() -> None:
    found = read("@detector.set_box_selector_parameters(score_thresh=0.02)")
    assert (found.name, found.arguments) == ("set_box_selector_parameters", {"score_thresh": 0.02})


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch /tmp/vigie-evil')",
        "().__class__.__bases__[0].__subclasses__()",
        "open('/tmp/vigie-evil', 'w').write('x')",
        "[x for x in range(10) if x]",
        "(lambda: 1)()",
        "f'{1}'",
        "import os",
        "1; 2",
        "@detector.network",
        "@device",
        "'a' * 10**9",
        "[[0] * 10000 for i in range(10000)]",
        "9**9**9",
        "range(10**9)",
        "'%999999999d' % 1",
        "(" * 500 + "1" + ")" * 500,
        "1 / 0",
        "[][3]",
        "(-1) ** 0.5",
        "b'x'",
    ],
)
def test_whatever_else_stands_there_is_named_at_once_and_harms_nothing(text: str) -> None:
    started = time.monotonic()
    found = read(text)
    assert time.monotonic() - started < 1.0
    # A call may be described; it is then refused by whoever looks for known names.
    if isinstance(found, Component):
        assert found.name in ("system", "open")
        return
    assert isinstance(found, Unknown)
    assert found.where in ("key", "here")
    assert found.why


def test_only_two_forms_of_lambda_are_understood() -> None:
    above = read("lambda x: x > -900")
    assert isinstance(above, Formula)
    assert above.threshold() == -900
    assert above.channels(3) is None
    assert read("lambda x: x[[0, 2]]").channels(3) == (0, 2)
    assert read("lambda x: x[1:]").channels(3) == (1, 2)
    assert read("lambda x: x[[-1], ...]").channels(3) == (2,)
    assert read("lambda x: x[[5]]").channels(3) is None
    assert read("lambda x: x.sum()").threshold() is None
    assert read("lambda x: evil(x) > 0").threshold() is None
