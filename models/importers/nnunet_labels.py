"""Labels and regions of an nnU-Net v2 `dataset.json`.

A network has one output channel for each label, or, trained on regions, one for each region;
regions overlap and are painted over one another in `regions_class_order`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.importers.nnunet_json import Doubts, Node, shown

#: Name of the label that marks what was not annotated; it has no output channel.
IGNORE = "ignore"
BACKGROUND = "background"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One output channel.

    Attributes:
        name: as the data set calls it. value: written into the label image.
        values: of the data set's labels that form it; more than one for a region.
    """

    name: str
    value: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScheme:
    """What the output channels mean.

    Attributes:
        channels: in channel order. Without regions channel 0 is the background and the
            channel number is the value. With regions there is no background channel, and a
            later channel is painted over an earlier one where its probability is above 0.5.
        regions: whether the network was trained on regions.
    """

    channels: tuple[Label, ...]
    regions: bool

    @property
    def heads(self) -> int:
        """Number of output channels."""
        return len(self.channels)

    @property
    def foreground(self) -> tuple[Label, ...]:
        """Every channel that is not the background."""
        return self.channels if self.regions else self.channels[1:]


def read_labels(dataset: Node) -> LabelScheme:
    """The labels of a `dataset.json`; what cannot be read is noted as a doubt."""
    labels = dataset.node("labels")
    values = _values(labels)
    values.pop(IGNORE, None)
    if values.get(BACKGROUND) != (0,):
        labels.doubts.add(labels.place, "the label 'background' must be there and be 0")
    if any(len(several) > 1 for several in values.values()):
        return _regions(dataset, values)
    named = {several[0]: name for name, several in values.items() if several}
    if sorted(named) != list(range(len(values))):
        labels.doubts.add(
            labels.place,
            f"the values {sorted(named)} do not run from 0 without gaps, so that a channel "
            "cannot be told its label",
        )
    channels = (Label(name=named[value], value=value, values=(value,)) for value in sorted(named))
    return LabelScheme(channels=tuple(channels), regions=False)


def _values(labels: Node) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name, value in labels.values.items():
        several = value if isinstance(value, list) else [value]
        whole = [_whole(item) for item in several]
        if not whole or None in whole:
            labels.doubts.add(labels.key(name), f"{shown(value)} is neither a label nor a region")
            continue
        found[name] = tuple(item for item in whole if item is not None)
    return found


def _whole(value: object) -> int | None:
    """A label value; some data sets write it as a text or a float."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().isdigit():
        return int(value)
    if isinstance(value, int | float) and value >= 0 and float(value).is_integer():
        return int(value)
    return None


def _regions(dataset: Node, values: Mapping[str, tuple[int, ...]]) -> LabelScheme:
    """Regions in the order of the file, background left out, as nnU-Net counts channels."""
    regions = {name: several for name, several in values.items() if set(several) != {0}}
    order = dataset.integers("regions_class_order")
    if len(order) != len(regions):
        dataset.doubts.add(
            "regions_class_order",
            f"has {len(order)} values for the {len(regions)} regions of 'labels'",
        )
    if len(set(order)) != len(order) or 0 in order:
        dataset.doubts.add(
            "regions_class_order",
            f"{list(order)} writes two regions with one value, or one with the background's, so "
            "that they cannot be told apart in the label image",
        )
    channels = (
        Label(name=name, value=value, values=several)
        for (name, several), value in zip(regions.items(), order, strict=False)
    )
    return LabelScheme(channels=tuple(channels), regions=True)


def read_channels(dataset: Node) -> tuple[str, ...]:
    """Names of the input channels, in order ("channel_names", or "modality" of older files)."""
    key = "channel_names" if dataset.has("channel_names") else "modality"
    names = dataset.node(key)
    indexed = {_whole(name): value for name, value in names.values.items()}
    if sorted(indexed, key=lambda index: -1 if index is None else index) != list(
        range(len(indexed))
    ) or not all(isinstance(value, str) for value in indexed.values()):
        dataset.doubts.add(key, f"{shown(dict(names.values))} does not name the channels 0, 1, ...")
        return ()
    return tuple(str(indexed[index]) for index in range(len(indexed)))


def scheme_of(dataset: Mapping[str, Any], file: str = "dataset.json") -> LabelScheme:
    """The labels of a `dataset.json` that was read already.

    Raises:
        ImportRefused: something in it is not understood.
    """
    doubts = Doubts(file)
    scheme = read_labels(Node(dataset, "", doubts))
    doubts.settle()
    return scheme
