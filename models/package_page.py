"""The reference part of `models/PACKAGE.md`, made from the code; a test keeps the page current.

`python -m models.package_page` writes it between the marks of the page.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config import package_results, package_schema, package_steps
from config.package_networks import NetworkSection, TensorSection, WindowsSection
from config.schema.base import Section
from models import manifest, manifest_results
from models.manifest_steps import POST_STEPS, PRE_STEPS
from node.domain.acute import AcuteFinding

PAGE = Path(__file__).with_name("PACKAGE.md")
_BEGIN, _END = "<!-- reference -->", "<!-- end of reference -->"
_ATTRIBUTES = re.compile(r"^Attributes:(.*)", re.MULTILINE | re.DOTALL)

#: Section of the file, where it stands, and the class whose docstring explains its keys.
SECTIONS: tuple[tuple[str, type[Section], type], ...] = (
    ("limits", package_schema.LimitsSection, package_schema.LimitsSection),
    ("inputs", package_schema.InputSection, manifest.InputLimits),
    ("networks[]", NetworkSection, manifest.NetworkSpec),
    ("networks[].inputs[], outputs[]", TensorSection, manifest.TensorSpec),
    ("networks[].windows", WindowsSection, manifest.Windows),
    ("results", package_results.ResultsSection, manifest_results.Results),
    ("results.labels[]", package_results.LabelSection, manifest_results.LabelResult),
    ("results.classes[]", package_results.ClassSection, manifest_results.ClassResult),
    ("results.questions[]", package_results.QuestionSection, manifest_results.Question),
    ("results.questions[].answers[]", package_results.AnswerSection, manifest_results.Answer),
    ("results.boxes[]", package_results.BoxSection, manifest_results.BoxResult),
    ("results.regions[]", package_results.RegionSection, manifest_results.RegionResult),
    ("results.aggregate", package_results.AggregateSection, manifest_results.Aggregate),
    ("results.tiles", package_results.TilesSection, manifest_results.TileReading),
    ("acute_findings.NAME", package_schema.AcuteSection, AcuteFinding),
    ("golden", package_schema.GoldenSection, manifest.Golden),
    ("source", package_schema.SourceSection, manifest.Source),
)

#: Keys in the first column of the file.
FIRST_COLUMN = {
    "format": "2; 1 is read as before.",
    "name": "of the package and of its folder: a-z, 0-9 and _.",
    "title": "as people read it, on every page.",
    "version": "of the package, 1.2.3; a changed package has another one.",
    "manufacturer": "who answers for it.",
    "task": "a number from 1 to 99; it sets the series number of the results.",
    "ebai_class": "A: measures what is known; B: finds a known marker elsewhere; C: a new marker.",
    "pipeline": "a word of this page, or `models.NAME.MODULE` for MODULE.py with `analyse`.",
    "intended_use": "for what and for whom; goes into the card and into `models list`.",
    "triage": "true for acute tasks: 'not eligible' is reported as an object then.",
    "key_objects": "true: a Key Object Selection of the marked images is written too; left out: as "
    "`triage`.",
    "priority": "order of its jobs, smaller first.",
    "limits": "of one job.",
    "inputs": "which series it was made for.",
    "networks": "one or more.",
    "preprocess": "steps before the network; built-in pipelines only.",
    "postprocess": "steps behind it; built-in pipelines only.",
    "results": "what becomes which finding; built-in pipelines only.",
    "thresholds": "named numbers that a site may set in `appliance.yaml`.",
    "acute_findings": "what may call somebody, by a name of yours.",
    "golden": "the case that must be reproduced before the package is used.",
    "uses": "[anatomy]: the pipeline gets the anatomy of the series (`request.anatomy`), "
    "computed once for all packages that ask for it.",
    "needs": "series that are analysed together with the first, by role (config/RULES.md).",
    "source": "where an imported network came from.",
}


def page_with_reference(text: str) -> str:
    """The page with its reference as it is now."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{reference()}\n{_END}{after}"


def reference() -> str:
    """Every key of the file, and every step."""
    parts = ["## Every key", "", "### First column", "", "| key | meaning |", "|---|---|"]
    for name, field in _fields(package_schema.Package):
        must = "" if field.is_required() else " May be left out."
        parts.append(f"| `{name}` | {FIRST_COLUMN[name]}{must} |")
    parts.append("")
    for place, section, told in SECTIONS:
        parts += [f"### `{place}`", "", _explained(told), "", *_keys(section), ""]
    for title, union, steps in (
        ("Steps before the network (`preprocess:`)", package_steps.PreStep, PRE_STEPS),
        ("Steps behind it (`postprocess:`)", package_steps.PostStep, POST_STEPS),
    ):
        sections = _by_word(union)
        parts += [f"## {title}", "", "| step | keys | what it does |", "|---|---|---|"]
        for step in steps:
            keys = ", ".join(_short(*item) for item in _fields(sections[step.step]))
            parts.append(f"| `{step.step}` | {keys or '-'} | {_explained(step)} |")
        parts.append("")
    return "\n".join(parts).rstrip()


def _by_word(union: object) -> dict[str, type[Section]]:
    members, _ = typing.get_args(union)
    return {
        typing.get_args(section.model_fields["step"].annotation)[0]: section
        for section in typing.get_args(members)
    }


def _fields(section: type[Section]) -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        if name != "step":
            yield field.alias or name, field


def _keys(section: type[Section]) -> list[str]:
    required = [f"`{name}`" for name, field in _fields(section) if field.is_required()]
    optional = [
        f"`{name}`{_usual(field)}" for name, field in _fields(section) if not field.is_required()
    ]
    lines = [f"Required: {', '.join(required)}."] if required else []
    return lines + ([f"May be left out: {', '.join(optional)}."] if optional else [])


def _short(name: str, field: Any) -> str:  # noqa: ANN401 - pydantic's, which config alone imports
    return f"**`{name}`**" if field.is_required() else f"`{name}`{_usual(field)}"


def _usual(field: Any) -> str:  # noqa: ANN401
    """What counts where a key is left out, as YAML."""
    usual = None if field.default_factory else field.get_default(call_default_factory=False)
    if usual is None or usual == () or isinstance(usual, Section):
        return ""
    return f" ({_yaml(usual)})"


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return '""' if value == "" else str(value)


def _explained(told: type) -> str:
    """The docstring of a class on one line, its attributes told behind the summary."""
    text = inspect.getdoc(told) or ""
    found = _ATTRIBUTES.search(text)
    head = text[: found.start()] if found else text
    attributes = found[1] if found else ""
    return " ".join(f"{head} {attributes}".split()).replace("|", "/")


if __name__ == "__main__":
    PAGE.write_text(page_with_reference(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
