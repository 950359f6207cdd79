"""The JSON Schema with which editors complete and check `appliance.yaml` while it is typed.

`python -m config.json_schema` writes it beside this module; a test keeps it current.
"""

from __future__ import annotations

import json
from pathlib import Path

from config.schema import Appliance

SCHEMA_FILE = Path(__file__).with_name("appliance.schema.json")


def json_schema() -> str:
    """The schema as text (draft 2020-12)."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Appliance.model_json_schema(),
        "title": "appliance.yaml of Vigie",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_json_schema(path: Path = SCHEMA_FILE) -> Path:
    """Write it; returns where."""
    path.write_text(json_schema(), encoding="utf-8")
    return path


if __name__ == "__main__":
    write_json_schema()
