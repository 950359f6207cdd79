"""How far two ways to measure agree: heights level by level, areas at L3; tables and plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from models.phantoms.tissue import BODIES, Tissue
from node.evaluation.bland_altman_plot import draw_bland_altman
from node.evaluation.product import Look
from node.evaluation.statistics import bland_altman
from node.evaluation.vertebral_silver import LEVELS, Silver
from node.evaluation.vertebral_tally import HEIGHT_MM, PLACES, Pair, heights_of

#: (true or other, measured).
Both = Sequence[tuple[float, float]]
_HEAD = "| heights against | measured, of in view | level right, of stated | within 2 mm | bias mm | 95 % limits of agreement mm | n |"  # noqa: E501
_AREA_HEAD = "| area against the truth, cm2 | bias (95 % interval) | 95 % limits of agreement | mean of the truth | n |"  # noqa: E501


def of_heights(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    """True and measured heights of the bodies that were measured, all three of each."""
    return [
        (true, ours)
        for pair in pairs
        if pair.finding is not None
        for true, ours in zip(pair.truth.heights_mm, heights_of(pair.finding), strict=True)
    ]


def of_silver(silver: Silver, look: Look) -> list[tuple[float, float]]:
    """Their heights and ours, L1 to L5, each as it prints them."""
    named = {f.tracking_identifier: f for f in look.findings.findings}
    return [
        (theirs, ours)
        for level in LEVELS
        if f"Vertebra {level}" in named
        for theirs, ours in zip(
            silver.heights_of(level), heights_of(named[f"Vertebra {level}"]), strict=True
        )
    ]


def level_table(pairs: Sequence[Pair], silver: Both) -> str:
    """A row for each level, for each of the three heights, and for the silver scan."""
    lines = [_HEAD, "|---" * 7 + "|"]
    for body in BODIES:
        own = [p for p in pairs if p.truth.body is body]
        if own:
            lines.append(_row(f"simulated {body.name}", own))
    known = [p for p in pairs if p.truth.body is not Tissue.SACRUM]
    lines.append(_row("simulated, all", known))
    for place, name in enumerate(PLACES):
        both = [one for k, one in enumerate(of_heights(known)) if k % len(PLACES) == place]
        lines.append(f"| simulated, {name} | | | {_agreed(both)} |")
    if silver:
        lines.append(f"| abdomen_ct_totalseg (silver) | | | {_agreed(silver)} |")
    return "\n".join(lines)


def _row(name: str, pairs: Sequence[Pair]) -> str:
    seen = [p for p in pairs if p.finding is not None]
    named = [
        p.finding.tracking_identifier.removeprefix("Vertebra ") == p.truth.body.name
        for p in seen
        if p.finding is not None and _is_level(p.finding.tracking_identifier)
    ]
    right = f"{sum(named)} of {len(named)}" if named else "none stated"
    return f"| {name} | {len(seen)} of {len(pairs)} | {right} | {_agreed(of_heights(seen))} |"


def _is_level(identifier: str) -> bool:
    level = identifier.removeprefix("Vertebra ")
    return level[:1] in "LT" and level[1:].isdecimal()


def _agreed(both: Both) -> str:
    """Share within the limit, bias, limits of agreement, number."""
    agreed = bland_altman(*_columns(both))
    if agreed is None or agreed.lower is None or agreed.upper is None:
        return f"- | - | - | {len(both)}"
    within = sum(abs(ours - true) <= HEIGHT_MM for true, ours in both)
    return (
        f"{within} of {len(both)} | {agreed.bias.value:+.2f} | {agreed.lower.value:+.2f} to "
        f"{agreed.upper.value:+.2f} | {len(both)}"
    )


def area_table(areas: Mapping[str, Both]) -> str:
    """A row for each tissue."""
    lines = [_AREA_HEAD, "|---" * 5 + "|"]
    for tissue, both in areas.items():
        true, ours = _columns(both)
        agreed = bland_altman(true, ours)
        if agreed is None or agreed.lower is None or agreed.upper is None:
            lines.append(f"| {tissue} | - | - | - | {len(both)} |")
            continue
        lines.append(
            f"| {tissue} | {agreed.bias.value:+.1f} ({agreed.bias.low:+.1f} to "
            f"{agreed.bias.high:+.1f}) | {agreed.lower.value:+.1f} to {agreed.upper.value:+.1f} | "
            f"{sum(true) / len(true):.1f} | {len(both)} |"
        )
    return "\n".join(lines)


def draw(folder: Path, plots: Mapping[str, tuple[str, Both]]) -> Iterator[Path]:
    """Bland-Altman plots: file name -> title and pairs; those with three pairs or more."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (title, both) in plots.items():
        if len(both) > 2:
            draw_bland_altman(folder / name, title, *_columns(both))
            yield folder / name


def _columns(both: Both) -> tuple[list[float], list[float]]:
    return [one[0] for one in both], [one[1] for one in both]
