"""What the steps, the networks and the results of a package say of the same thing must agree.

Only what plainly contradicts is refused: two numbers for one thing, or a label that cannot come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from config.messages import refusal
from config.package_networks import NetworkSection
from config.package_results import ResultsSection

#: Built-in pipelines that look at volumes with a voxel size.
_OF_VOLUMES = ("segmentation", "detection", "classification")
#: Numbers for one thing may be rounded, as a fraction.
_ROUNDED = 0.01
#: Steps behind which values are no stored values any more.
_SCALED = ("scale_range", "scale_unit", "normalize", "ct_normalize", "windows")
#: More label values are not listed one by one.
_MOST_LISTED = 8


def agreement_faults(
    pipeline: str,
    networks: Sequence[NetworkSection],
    channels: int | None,
    steps: tuple[Sequence[Any], Sequence[Any]],
    results: ResultsSection | None,
) -> Iterator[PydanticCustomError]:
    """What of a package with a built-in pipeline contradicts something else in it.

    Args:
        channels: of the networks' output, where they are known.
        steps: of `preprocess:` and of `postprocess:`.
    """
    pre, post = steps
    # The second network of attention MIL sees what the first one made.
    of_images = networks[:1] if pipeline == "attention_mil" else networks
    if pipeline in _OF_VOLUMES:
        yield from _spacing(of_images, pre)
    yield from _values(of_images, pre)
    if pipeline == "segmentation":
        yield from _labels(channels, post, results)


def _spacing(
    networks: Sequence[NetworkSection], pre: Sequence[Any]
) -> Iterator[PydanticCustomError]:
    """The voxels that the steps make are those that the networks were trained at."""
    made: list[tuple[int, float] | None] = [None, None, None]
    for number, step in enumerate(pre):
        if step.step == "orient":
            made = [None, None, None]
        elif step.step == "spacing":
            new = ((number, side) if side is not None else None for side in step.spacing_mm)
            made = [now or before for now, before in zip(new, made, strict=True)]
        elif step.step == "resize":
            # A size in voxels: what they measure differs from series to series.
            made = [
                before if side is None else None
                for side, before in zip(step.size, made, strict=True)
            ]
    for network in networks:
        axes = len(network.spacing_mm)
        # A network of two axes sees planes along axis 0, so its axes are the last ones.
        for own, side in zip(network.spacing_mm, made[-axes:] if axes else (), strict=True):
            if side is not None and abs(own - side[1]) > _ROUNDED * side[1]:
                number, millimetres = side
                yield refusal(
                    f"it makes voxels of {millimetres:g} mm on an axis for which the network "
                    f"'{network.name}' states {own:g} mm (its spacing_mm is "
                    f"{_numbers(network.spacing_mm)})",
                    "write the voxel size that the network was trained at in both places",
                    at=f"preprocess.{number}.spacing_mm",
                )


def _values(
    networks: Sequence[NetworkSection], pre: Sequence[Any]
) -> Iterator[PydanticCustomError]:
    """What the first step scales from is the range that the networks state."""
    number = next((at for at, step in enumerate(pre) if step.step in _SCALED), None)
    if number is None or pre[number].step != "scale_range":
        return
    step = pre[number]
    low, high = step.source
    for index, network in enumerate(networks):
        stated = network.value_range
        if _same(stated, step.source):
            continue
        if step.to is not None and _same(stated, step.to):
            yield refusal(
                f"this is the range that step {number + 1} scales to; meant is the range of the "
                "stored values, from which it scales",
                f"write value_range: {_numbers(step.source)}",
                at=f"networks.{index}.value_range",
            )
        elif step.clip or stated[1] <= low or high <= stated[0]:
            yield refusal(
                f"step {number + 1} of 'preprocess:' scales values from {_numbers(step.source)}"
                f"{' and cuts off all others' if step.clip else ''}, here stands another range",
                f"write value_range: {_numbers(step.source)}, or correct 'from:' of the step",
                at=f"networks.{index}.value_range",
            )


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    width = other[1] - other[0]
    return all(abs(a - b) <= _ROUNDED * width for a, b in zip(one, other, strict=True))


def _labels(
    channels: int | None, post: Sequence[Any], results: ResultsSection | None
) -> Iterator[PydanticCustomError]:
    """A label that is reported can come."""
    possible = _possible(channels, post)
    if possible is None:
        return
    for number, label in enumerate(results.labels if results else ()):
        if label.value not in possible:
            yield refusal(
                f"no voxel ever gets the label {label.value}: the steps give {_told(possible)}",
                "correct it (argmax gives the number of the channel, the first is 0), or add "
                "'- {step: relabel, table: {...}}' as the last step of 'postprocess:'",
                at=f"results.labels.{number}.value",
            )


def _possible(channels: int | None, post: Sequence[Any]) -> set[int] | None:
    """Label values that the steps can give; None where that is not known."""
    possible: set[int] | None = None
    for step in post:
        if step.step == "select_channels":
            channels = len(step.channels)
        elif step.step == "argmax":
            if channels is None:
                return None
            possible = set(range(channels))
        elif step.step == "threshold":
            possible = {0, 1}
        elif step.step == "regions":
            possible = {0, *step.values}
        elif step.step == "relabel" and possible is not None:
            possible = {step.table.get(value, 0) for value in possible}
    return possible


def _told(possible: set[int]) -> str:
    values = sorted(possible - {0})
    if not values:
        return "none at all"
    if len(values) > 1 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    more = f" and {len(values) - _MOST_LISTED} more" if len(values) > _MOST_LISTED else ""
    return ", ".join(map(str, values[:_MOST_LISTED])) + more


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"
