"""The entrance of this package: read `appliance.yaml` and any other checked YAML file."""

from __future__ import annotations

from config.validate import read_document

__all__ = ["read_document"]
