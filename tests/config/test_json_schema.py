"""The JSON Schema that editors use is the one of this version, and speaks of every key."""

from __future__ import annotations

import json
from pathlib import Path

from config.json_schema import SCHEMA_FILE, json_schema, write_json_schema
from node.domain.facts import FACTS


def test_the_schema_file_is_current() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json_schema(), (
        "config/appliance.schema.json is out of date: run `python -m config.json_schema`"
    )


def test_the_schema_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    path = write_json_schema(tmp_path / "schema.json")
    assert json.loads(path.read_text())["title"] == "appliance.yaml of Vigie"


def test_every_key_has_a_title_and_a_description_for_the_editor() -> None:
    schema = json.loads(json_schema())
    sections = {"appliance": schema, **schema["$defs"]}
    for name, section in sections.items():
        assert section["additionalProperties"] is False, name
        for key, described in section["properties"].items():
            assert described.get("title") or "$ref" in described, f"{name}.{key} has no title"
            assert described.get("description"), f"{name}.{key} has no description"


def test_every_quantity_has_its_unit_in_its_name() -> None:
    schema = json.loads(json_schema())
    counts = {"port", "priority", "version", "count", "threads", "series_number_base"}
    counts |= {"max_associations", "max_associations_per_peer", "spare_segments"}
    counts |= {"decoders"}
    counts |= {"at_least"}  # in the unit that the model package states
    counts |= {"associations_per_minute", "resends", "set_aside_after", "failures_in_a_row"}
    counts |= {"decoders"}
    counts |= {name for name, fact in FACTS.items() if not fact.unit}
    units = ("_s", "_mm", "_gb", "_mb", "_bytes", "_hours", "_days", "_percent", "_years")
    units += ("_degrees", "_hu", "_kg", "_m")
    for section in (schema, *schema["$defs"].values()):
        for key, described in section["properties"].items():
            kinds = [described, *described.get("anyOf", ())]
            if any(kind.get("type") in ("integer", "number") for kind in kinds):
                if section["title"] == "NumberRange":
                    continue  # its unit is that of the key it stands under
                assert key in counts or key.endswith(units), key
