"""`read_document` serves any checked YAML file: places, remedies, and never a traceback."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from config.document import Plain, plain
from config.load import load_appliance, read_document
from config.messages import refusal
from config.parse import parse_document
from config.schema.base import Section
from node.domain.errors import ConfigError, ConfigFault

HOSTILE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Circle(Section):
    """One kind of shape."""

    kind: Literal["circle"]
    radius_mm: float


class Box(Section):
    """Another kind of shape."""

    kind: Literal["box"]
    sides_mm: tuple[float, float]


class Drawing(Section):
    """A schema of somebody else, with their own rule."""

    title: str
    shapes: tuple[Annotated[Circle | Box, Field(discriminator="kind")], ...]
    range_mm: tuple[float, float] = (0, 1)

    @model_validator(mode="after")
    def _ordered(self) -> Drawing:
        if self.range_mm[0] > self.range_mm[1]:
            raise refusal("the range runs backwards", "write the smaller first", at="range_mm")
        if self.title == "bad":
            raise ValueError("a bad title - write a good one")
        return self


def faults(folder: Path, content: str) -> list[str]:
    """The lines for a drawing of this content."""
    path = folder / "drawing.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_document(path, Drawing)
    return [str(fault).removeprefix(f"{path}:") for fault in caught.value.faults]


def test_a_good_file_becomes_the_model(tmp_path: Path) -> None:
    path = tmp_path / "drawing.yaml"
    path.write_text("title: a\nshapes: [{kind: box, sides_mm: [1, 2.5]}]\n")
    drawing = read_document(path, Drawing)
    assert drawing.shapes == (Box(kind="box", sides_mm=(1, 2.5)),)


def test_members_of_a_union_are_judged_by_their_kind_and_placed_by_their_own_path(
    tmp_path: Path,
) -> None:
    content = """\
title: a
shapes:
  - kind: circle
    radius_mm: wide
  - kind: box
    sides_mm: [1]
  - kind: boxx
  - radius_mm: 1
"""
    assert faults(tmp_path, content) == [
        "4:16: shapes.0.radius_mm: must be a number (got 'wide') - write a number of millimetres",
        "6:15: shapes.1.sides_mm: needs an entry number 2 (got a list of 1) - add the missing "
        "entry to the list",
        "7:11: shapes.2.kind: this word is not known here (got 'boxx') - did you mean 'box'? Known "
        "here: circle, box",
        "8:5: shapes.3.kind: this key is required and missing - add a line to 'shapes.3': "
        "'kind: circle'",
    ]


def test_a_rule_of_the_schema_speaks_with_its_own_remedy_at_its_key(tmp_path: Path) -> None:
    content = "title: a\nshapes: []\nrange_mm: [2, 1]\n"
    assert faults(tmp_path, content) == [
        "3:11: range_mm: the range runs backwards (got a list of 2) - write the smaller first"
    ]


def test_a_plain_value_error_of_a_schema_is_split_into_reason_and_remedy(tmp_path: Path) -> None:
    assert faults(tmp_path, "title: bad\nshapes: []\n") == ["1:1: a bad title - write a good one"]


YAML_PIECES = st.lists(
    st.sampled_from(
        [
            *":-?[]{},&*!|>'\"%@`#\t\n \\",
            *("version: 1\n", "receiver:\n", "  peers:\n", "- ", "---\n", "...\n", "<<: ", "~"),
            *(
                "!!python/object:os.system",
                "\\UFFFFFFFF",
                "\\ud800",
                ".nan",
                "0x",
                "1e999",
                "9" * 30,
            ),
            *(
                "null",
                "true",
                "%YAML 9999999999.1\n",
                "? ",
                "\r",
                "\x85",
                "\u2028",
                "é",
                "\U0001f480",
            ),
        ]
    ),
    max_size=30,
).map("".join)


@HOSTILE
@given(st.one_of(YAML_PIECES, st.text(max_size=80)))
@example('"\\UFFFFFFFF"')
@example("- [" * 2000)
@example("{" * 5000)
@example("a: " * 3)
def test_any_text_is_refused_in_words_and_never_with_a_traceback(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "random.yaml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError) as caught:
        load_appliance(path, ())
    for fault in caught.value.faults:
        assert fault.why
        assert fault.remedy
        assert fault.line >= 1
        assert fault.column >= 1
        assert "\n" not in str(fault)


@HOSTILE
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "random.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        load_appliance(path, ())


CHECKOUT = Path(__file__).resolve().parents[2]
SHIPPED = (CHECKOUT / "appliance.yaml").read_text()


@HOSTILE
@given(
    st.integers(min_value=0, max_value=len(SHIPPED) - 1),
    st.integers(min_value=0, max_value=12),
    st.one_of(YAML_PIECES, st.text(max_size=6)),
)
def test_a_slip_in_the_shipped_file_is_taken_or_refused_in_words(
    tmp_path: Path, start: int, length: int, slip: str
) -> None:
    path = tmp_path / "appliance.yaml"
    content = SHIPPED[:start] + slip + SHIPPED[start + length :]
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    lines = 2 + sum(map(content.count, "\n\r\x85\u2028"))
    for fault in faults_of(path):
        assert 1 <= fault.line <= lines
        assert fault.remedy


def places_of(value: Plain, steps: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value of a tree."""
    below: list[tuple[str | int, ...]] = [steps] if steps else []
    if isinstance(value, dict):
        for key, child in value.items():
            below += places_of(child, (*steps, key))
    if isinstance(value, list):
        for number, child in enumerate(value):
            below += places_of(child, (*steps, number))
    return below


SETTINGS = plain(parse_document(CHECKOUT / "appliance.yaml").root)
VALUES: list[Plain] = [
    *(None, True, 5, -1, 1.5, 10**17, "", "x", "\u2028", "file:", "10.0.0.0/8"),
    *([], [None], [1], ["a", "a"], [[]], {}, {"a": 1}, {"port": 1}, {"a": {"b": []}}),
]


@HOSTILE
@given(st.sampled_from(places_of(SETTINGS)), st.sampled_from(VALUES))
def test_a_value_of_the_wrong_kind_at_any_place_is_taken_or_refused_in_words(
    tmp_path: Path, steps: tuple[str | int, ...], value: Plain
) -> None:
    changed = copy.deepcopy(SETTINGS)
    parent: Any = changed
    for step in steps[:-1]:
        parent = parent[step]
    parent[steps[-1]] = value
    path = tmp_path / "appliance.yaml"
    path.write_text(json.dumps(changed, indent=1))
    for fault in faults_of(path):
        assert fault.why
        assert fault.remedy
        assert "input" not in str(fault).lower(), "a message of pydantic came through"


def faults_of(path: Path) -> tuple[ConfigFault, ...]:
    """The faults of an appliance file; none where it is good."""
    try:
        load_appliance(path, ["body_composition"])
    except ConfigError as error:
        return error.faults
    return ()
