"""From the checked sections of a `model.yaml` to the values of `models.manifest_steps`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from config.schema.base import Section
from models.manifest_steps import POST_STEPS, PRE_STEPS, PostStep, PreStep

_PRE = {step.step: step for step in PRE_STEPS}
_POST = {step.step: step for step in POST_STEPS}


def preprocessing(sections: Iterable[Section]) -> tuple[PreStep, ...]:
    """The steps of `preprocess:`, in order."""
    return tuple(_PRE[_word(section)](**_values(section, _PRE)) for section in sections)


def postprocessing(sections: Iterable[Section]) -> tuple[PostStep, ...]:
    """The steps of `postprocess:`, in order."""
    return tuple(_POST[_word(section)](**_values(section, _POST)) for section in sections)


def _word(section: Section) -> str:
    return str(getattr(section, "step"))  # noqa: B009 - every section of a step has it


def _values(section: Section, steps: dict[str, Any]) -> dict[str, Any]:
    names = [field.name for field in fields(steps[_word(section)])]
    return {name: getattr(section, name) for name in names}
