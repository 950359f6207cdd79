"""What is valid and leads nowhere: a route that no input of its model meets, an idle model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from config.load import Loaded
from config.messages import listed
from config.schema import Conditions, NumberRange, Route
from models.manifest import InputLimits, ModelManifest
from node.domain.errors import ConfigFault
from node.domain.fact import Fact
from node.domain.facts import FACTS

Steps = tuple[str | int, ...]

#: (fact, which end of the asked range, the model's limit): asked and limit exclude each other.
_LIMITS: tuple[tuple[str, str, Callable[[InputLimits], float | None]], ...] = (
    ("slices", "max", lambda limits: limits.min_planes),
    ("coverage_mm", "max", lambda limits: limits.min_extent_mm),
    ("patient_age_years", "max", lambda limits: limits.min_age_years),
    ("pixel_spacing_mm", "max", lambda limits: limits.pixel_spacing_mm[0]),
    ("pixel_spacing_mm", "min", lambda limits: limits.pixel_spacing_mm[1]),
    ("slice_spacing_mm", "min", lambda limits: limits.max_spacing_mm),
    ("tilt_degrees", "min", lambda limits: limits.max_tilt_degrees),
)


def leading_nowhere(
    loaded: Loaded, manifests: Mapping[str, ModelManifest]
) -> Iterator[ConfigFault]:
    """Everything that `check` warns of; the configuration can be used all the same.

    Args:
        manifests: of the models that are switched on, by name.
    """
    for name, route in loaded.appliance.routes.items():
        for model in route.models:
            if model in manifests:
                yield from _never(loaded, name, route, manifests[model])
    routed = {model for route in loaded.appliance.routes.values() for model in route.models}
    used = {name for model in routed if model in manifests for name in manifests[model].uses}
    for model in manifests:
        if model not in routed | used:
            yield _told(
                loaded,
                ("models", model),
                "no route names this model, so it looks at nothing",
                f"add a route with 'models: [{model}]', or write enabled: false",
            )


def _never(
    loaded: Loaded, name: str, route: Route, manifest: ModelManifest
) -> Iterator[ConfigFault]:
    limits = manifest.inputs
    top: Steps = ("routes", name, "when")
    title = manifest.identity.name
    listed_ = route.when.modalities
    if listed_ and set(listed_).isdisjoint(limits.modalities):
        yield _nothing(loaded, (*top, "modalities"), title, "modality", limits.modalities)
    for steps, conditions in _together(route.when, top):
        chosen: tuple[str, ...] | None = conditions.asked("modality")
        if chosen and set(chosen).isdisjoint(limits.modalities):
            yield _nothing(loaded, (*steps, "modality"), title, "modality", limits.modalities)
        ways: tuple[str, ...] | None = conditions.asked("orientation")
        if ways and limits.orientations and set(ways).isdisjoint(limits.orientations):
            yield _nothing(
                loaded, (*steps, "orientation"), title, "orientation", limits.orientations
            )
        for fact, end, limit_of in _LIMITS:
            asked: NumberRange | None = conditions.asked(fact)
            value, limit = getattr(asked, end, None), limit_of(limits)
            if value is None or limit is None or not limits.orientations:
                continue
            if value < limit if end == "max" else value > limit:
                yield _outside(loaded, (*steps, fact), (title, end, limit), FACTS[fact])


def _together(conditions: Conditions, steps: Steps) -> Iterator[tuple[Steps, Conditions]]:
    """The conditions that must hold together: these, and those below `all`."""
    yield steps, conditions
    for number, below in enumerate(conditions.all_of or ()):
        yield from _together(below, (*steps, "all", number))


def _nothing(
    loaded: Loaded, steps: Steps, model: str, what: str, read: tuple[str, ...]
) -> ConfigFault:
    return _told(
        loaded,
        steps,
        f"the model {model} reads {what} {listed(read)} only, so this route never gives "
        "it anything",
        f"write {listed(read)} here, or take {model} out of the route",
    )


def _outside(
    loaded: Loaded, steps: Steps, asked: tuple[str, str, float], fact: Fact
) -> ConfigFault:
    model, end, limit = asked
    unit = f" {fact.unit}" if fact.unit else ""
    word = "at least" if end == "max" else "at most"
    return _told(
        loaded,
        steps,
        f"the model {model} needs a {fact.title} of {word} {limit:g}{unit}, so this "
        "route never gives it anything",
        f"write {{{end}: {limit:g}}} or {'more' if end == 'max' else 'less'}, or take {model} "
        "out of the route",
    )


def _told(loaded: Loaded, steps: Steps, why: str, remedy: str) -> ConfigFault:
    return loaded.document.fault_at(loaded.document.key_place(steps), steps, why, remedy)
