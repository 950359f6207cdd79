"""How MONAI's transforms are read: one by one, argument by argument, nothing passed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.importers.faults import Faults
from models.importers.monai_grammar import Formula
from models.importers.monai_values import Component, Named, Value

#: A step as `model.yaml` has it.
Step = dict[str, Any]

#: They move or convert what we move and convert in our own way.
_NOTHING = frozenset(
    {
        "CopyItems",
        "DeleteItems",
        "EnsureType",
        "Identity",
        "SaveImage",
        "SelectItems",
        "ToDevice",
        "ToNumpy",
        "ToTensor",
    }
)
REMEDY = (
    "the vocabulary is listed in models/IMPORT.md; a step of this kind must be added to it, or "
    "left out of the bundle's configuration if the result does not depend on it"
)
#: Arguments that change nothing that we compute.
_HARMLESS = frozenset(
    {
        "allow_missing_keys",
        "as_tensor_output",
        "data_type",
        "device",
        "dtype",
        "image_only",
        "keys",
        "lazy",
        "meta_key_postfix",
        "meta_keys",
        "overwriting",
        "track_meta",
    }
)


@dataclass(slots=True)
class Reading:
    """What is collected while the transforms are read.

    Attributes:
        key: of the image in MONAI's dictionary ("image") or of the output ("pred").
        channels: of the image, as far as known.
        frame: "RAS" as MONAI's readers give it, or "LPS" where the bundle asks for ITK's.
        forward: of a prediction: how the image was resampled on its way to the network.
        reference: the transforms that were understood, for MONAI's own objects.
    """

    key: str
    faults: Faults
    channels: int = 1
    frame: str = "RAS"
    forward: tuple[str, ...] = ()
    steps: list[Step] = field(default_factory=list)
    reference: list[dict[str, Any]] = field(default_factory=list)


def short_name(component: Component) -> str:
    """`Spacingd`, `SpacingD`, `SpacingDict`, `monai.transforms.Spacing` -> `Spacing`."""
    name = component.name
    if name.endswith("Pad"):
        return name
    return next((name.removesuffix(end) for end in ("Dict", "D", "d") if name.endswith(end)), name)


def transforms_of(value: Value, reading: Reading, where: str) -> Sequence[Component]:
    """The list inside `Compose`, without what is disabled."""
    if value is None:
        return ()
    if isinstance(value, Component) and value.name == "Compose":
        value = value.get("transforms", value.positional[0] if value.positional else [])
    if not isinstance(value, list):
        reading.faults.add(where, "a list of transforms is expected", "write `Compose` of a list")
        return ()
    chosen = []
    for item in value:
        if isinstance(item, Component):
            chosen.append(item)
        elif item is not None and reading.faults.known(item):
            reading.faults.add(where, f"{item!r} is no transform", REMEDY)
    return chosen


def read_one(
    component: Component,
    reading: Reading,
    vocabulary: Mapping[str, Callable[[Arguments, Reading], list[Step]]],
) -> None:
    """One transform into steps, or a fault with its name."""
    name = short_name(component)
    package = component.target.rpartition(".")[0]
    if package and not package.startswith("monai.transforms"):
        reading.faults.add(
            component.where, f"`{component.target}` is Python that is not MONAI's", REMEDY
        )
        return
    if name in _NOTHING:
        return
    if name not in vocabulary:
        reading.faults.add(
            component.where, f"the transform `{component.target}` is unknown", REMEDY
        )
        return
    arguments = Arguments(component, reading.faults)
    steps = vocabulary[name](arguments, reading)
    arguments.refuse_rest()
    reading.steps.extend(steps)
    reading.reference.append({"build": component.name, "arguments": arguments.taken})


class Arguments:
    """Arguments of one transform: each is asked for, what is left over is a fault."""

    def __init__(self, component: Component, faults: Faults) -> None:
        self.component = component
        self.faults = faults
        self._asked: set[str] = set()
        #: What was understood, for MONAI's own object.
        self.taken: dict[str, Any] = {}
        if len(component.positional) > 1:
            self.fault("arguments without names", "write them with their names")

    def fault(self, why: str, remedy: str = REMEDY) -> None:
        """Something about this transform."""
        self.faults.add(self.component.where, f"{self.component.name}: {why}", remedy)

    def get(self, key: str, default: Value = None) -> Value:
        """A plain value; of a list with one entry for each key, the first."""
        self._asked.add(key)
        value = self.component.get(key, default)
        if not self.faults.known(value):
            return default
        if isinstance(value, Named):
            value = value.name.rpartition(".")[2]
        if isinstance(value, Component):
            self.fault(f"`{key}` is an object ({value.target})")
            return default
        if key in self.component.arguments and not isinstance(value, Formula):
            self.taken[key] = value
        return value

    def each_key(self, key: str, default: Value = None) -> Value:
        """As `get`; MONAI allows a list with one entry for each key here."""
        value = self.get(key, default)
        return value[0] if isinstance(value, list) and value else value

    def number(self, key: str, default: float | None = None) -> float:
        """A number."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(f"`{key}` is {value!r}, no number", "write a number")
            return 0.0
        return float(value)

    def ignore(self, *keys: str) -> None:
        """Arguments that say where or how fast, not what."""
        self._asked.update(keys)

    def must_be(self, key: str, *allowed: Value) -> None:
        """The first of `allowed` is MONAI's default; another value is a fault."""
        value = self.each_key(key, allowed[0])
        if value not in allowed:
            self.fault(f"`{key}: {value}` is not supported")

    def refuse_rest(self) -> None:
        """Faults for what nobody asked for."""
        for key in self.component.arguments:
            if key not in self._asked and key not in _HARMLESS:
                self.fault(f"the argument `{key}` is unknown")
