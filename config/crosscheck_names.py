"""Names that lead nowhere: models, thresholds, destinations and senders that do not exist."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from config.draft import Draft, Faults, settled
from config.installed import InstalledModel
from config.messages import close_to, listed

#: Names of the installed packages; as a mapping, with the names of the thresholds of each.
Installed = Collection[str] | Mapping[str, Collection[str]]


def models(draft: Draft, installed: Installed) -> Faults:
    for name in draft.names("models"):
        if name not in installed:
            yield draft.fault(
                ("models", name), "no such model is installed", _instead(name, tuple(installed))
            )
        elif isinstance(installed, Mapping) and not unread(installed[name]):
            yield from settled(_thresholds(draft, name, tuple(installed[name])))
            yield from settled(_used(draft, name, installed[name]))


def unread(package: object) -> bool:
    """Can nothing be said of a package, since its `model.yaml` cannot be read?"""
    return isinstance(package, InstalledModel) and bool(package.fault)


def _used(draft: Draft, model: str, package: object) -> Faults:
    """What a package in use asks other packages for: they have to be in use as well."""
    if not isinstance(package, InstalledModel) or not draft.truth("models", model, "enabled"):
        return
    for other in package.uses:
        if other not in draft.names("models"):
            yield draft.fault(
                ("models", model),
                f"this model builds on the package {other}, which is not in use",
                f"add '{other}: {{enabled: true}}' below 'models:'; it needs no route of its own",
            )
        elif not draft.truth("models", other, "enabled"):
            yield draft.fault(
                ("models", other, "enabled"),
                f"{model} builds on this package, which is out of use",
                f"write 'enabled: true', or take {model} out of use",
            )


def _thresholds(draft: Draft, model: str, known: Sequence[str]) -> Faults:
    for name in draft.names("models", model, "thresholds"):
        if name not in known:
            yield draft.fault(
                ("models", model, "thresholds", name),
                "this model has no such threshold",
                _instead(name, known, add="remove it"),
            )


def routes(draft: Draft, installed: Installed) -> Faults:
    for route in draft.names("routes"):
        yield from settled(_routed_models(draft, route, installed))
        yield from settled(_routed_destinations(draft, route))


def _routed_models(draft: Draft, route: str, installed: Installed) -> Faults:
    for number, _ in enumerate(draft.entries("routes", route, "models")):
        path = ("routes", route, "models", number)
        yield from settled(_routed_model(draft, path, installed))


def _routed_destinations(draft: Draft, route: str) -> Faults:
    for number, _ in enumerate(draft.entries("routes", route, "destinations")):
        path = ("routes", route, "destinations", number)
        yield from settled(_routed_destination(draft, path))


def _routed_destination(draft: Draft, path: tuple[str | int, ...]) -> Faults:
    name, known = draft.text(*path), draft.names("destinations")
    if name not in known:
        yield draft.fault(
            path,
            "there is no such destination",
            _instead(name, known, add=f"add '{name}:' below 'destinations:'"),
        )


def _routed_model(draft: Draft, path: tuple[str | int, ...], installed: Installed) -> Faults:
    name = draft.text(*path)
    known = draft.names("models")
    if name not in known and name in installed:
        yield draft.fault(
            path,
            "this model is installed, but does not stand below 'models:'",
            f"add '{name}: {{enabled: true}}' below 'models:'",
        )
    elif name not in known:
        yield draft.fault(path, "no such model is installed", _instead(name, tuple(installed)))
    elif not draft.truth("models", name, "enabled"):
        yield draft.fault(
            path,
            f"this model is switched off on line {draft.line('models', name, 'enabled')}",
            "remove it from the route, or write enabled: true there",
        )


def senders(draft: Draft) -> Faults:
    allowed: set[str] = set()
    for peer in draft.names("receiver", "peers"):
        if draft.truth("receiver", "peers", peer, "any_ae_title"):
            return
        allowed.update(draft.entries("receiver", "peers", peer, "ae_titles"))
    for route in draft.names("routes"):
        yield from settled(_routed_senders(draft, route, sorted(allowed)))


def _routed_senders(draft: Draft, route: str, allowed: Sequence[str]) -> Faults:
    path = ("routes", route, "when", "calling_ae_titles")
    for number, title in enumerate(draft.entries(*path)):
        if title not in allowed:
            yield draft.fault(
                (*path, number),
                "no peer may send under this AE title, so the route never applies",
                _instead(title, allowed, add="add it to a peer"),
            )


def repeats(draft: Draft) -> Faults:
    lists: list[tuple[str, ...]] = [("workers", "providers"), ("receiver", "ae_titles")]
    for route in draft.names("routes"):
        lists += [("routes", route, "models"), ("routes", route, "destinations")]
    for path in lists:
        yield from settled(_repeated(draft, path))


def _repeated(draft: Draft, path: tuple[str, ...]) -> Faults:
    entries = draft.entries(*path)
    for number, entry in enumerate(entries):
        if entry and entry in entries[:number]:
            yield draft.fault(
                (*path, number), "this stands in the list for the second time", "keep it once"
            )


def asked(draft: Draft) -> Faults:
    """The PACS that is asked about studies: a destination that speaks C-FIND."""
    for path in (("completion", "ask"), ("results", "identity_from")):
        yield from settled(_asked(draft, path))


def _asked(draft: Draft, path: tuple[str, str]) -> Faults:
    name, known = draft.text(*path), draft.names("destinations")
    if not name:
        return
    if name not in known:
        yield draft.fault(
            path,
            "there is no such destination",
            _instead(name, known, add=f"add '{name}:' below 'destinations:'"),
        )
    elif draft.text("destinations", name, "type") != "dicom":
        yield draft.fault(
            path,
            "this destination does not answer C-FIND",
            "name a destination of type dicom, or remove the line",
        )


def _instead(name: str, known: Sequence[str], *, add: str = "") -> str:
    meant = close_to(name, known)
    if meant is not None:
        return f"did you mean '{meant}'?"
    if add:
        return f"{add}, or choose from: {listed(known)}" if known else add
    return f"choose from: {listed(known)}" if known else "none is installed; install one first"
