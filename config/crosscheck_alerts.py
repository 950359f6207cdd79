"""What no single value of `alerts:` can tell: names that lead nowhere, too much patient data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from config.alert_text import AMOUNTS, PatientData, beyond
from config.crosscheck_names import Installed, unread
from config.draft import Draft, Faults, settled
from config.fields import is_loopback
from config.installed import InstalledModel
from config.messages import close_to, listed

Steps = tuple[str | int, ...]
TEXTS = ("finding_subject", "finding_text", "correction_subject", "correction_text")


def alerts(draft: Draft, installed: Installed) -> Faults:
    """Every fault between the values of `alerts:` and those of the packages."""
    for rule in draft.names("alerts", "findings"):
        path = ("alerts", "findings", rule)
        yield from settled(_channels(draft, path, events=False))
        yield from settled(_models(draft, path, installed))
        yield from settled(_findings(draft, path, installed))
        yield from settled(_least_score(draft, path, installed))
        for key in ("subject", "text"):
            yield from settled(_too_much(draft, (*path, key)))
    for rule in draft.names("alerts", "events"):
        yield from settled(_channels(draft, ("alerts", "events", rule), events=True))
    for key in TEXTS:
        yield from settled(_too_much(draft, ("alerts", "templates", key)))
    for name in draft.names("alerts", "channels"):
        yield from settled(_channel(draft, ("alerts", "channels", name)))


def _channels(draft: Draft, path: tuple[str, ...], *, events: bool) -> Faults:
    known = draft.names("alerts", "channels")
    entries = draft.entries(*path, "channels")
    for number, name in enumerate(entries):
        at: Steps = (*path, "channels", number)
        if name not in known:
            add = f"add '{name}:' below 'alerts.channels:'"
            yield draft.fault(at, "there is no such channel", _instead(name, known, add))
        elif name in entries[:number]:
            yield draft.fault(at, "this stands in the list for the second time", "keep it once")
        elif events and draft.text("alerts", "channels", name, "type") == "hl7":
            yield draft.fault(
                at,
                "ORU^R01 carries results of a patient, not troubles of this node",
                "choose a channel of type webhook or email",
            )


def _models(draft: Draft, path: tuple[str, ...], installed: Installed) -> Faults:
    known = draft.names("models")
    for number, name in enumerate(draft.entries(*path, "models")):
        at: Steps = (*path, "models", number)
        if name not in known:
            yield draft.fault(
                at,
                "no such model stands below 'models:'",
                _instead(name, known, f"add '{name}: {{enabled: true}}' there"),
            )
        elif (
            isinstance(installed, Mapping)
            and not unread(installed[name])
            and not _acute(installed, [name])
        ):
            yield draft.fault(
                at,
                "this model states no acute finding, so it never calls anybody",
                "remove it from the rule",
            )


def _findings(draft: Draft, path: tuple[str, ...], installed: Installed) -> Faults:
    known = _known(draft, path, installed)
    if known is None:
        return
    for number, name in enumerate(draft.entries(*path, "findings")):
        if name not in known:
            yield draft.fault(
                (*path, "findings", number),
                "no model that is in use states such an acute finding",
                _instead(name, tuple(known), "remove the rule"),
            )


def _least_score(draft: Draft, path: tuple[str, ...], installed: Installed) -> Faults:
    known = _known(draft, path, installed)
    if known is None or not draft.given(*path, "at_least"):
        return
    least = draft.number(*path, "at_least")
    named = draft.entries(*path, "findings") or tuple(known)
    operating = max((known[name] for name in named if name in known), default=least)
    if least < operating:
        yield draft.fault(
            (*path, "at_least"),
            f"this is below the operating threshold of the package, {operating:g}, under which "
            "nothing was confirmed and nobody is called",
            f"write {operating:g} or more, or delete the line",
        )


def _known(draft: Draft, path: tuple[str, ...], installed: Installed) -> dict[str, float] | None:
    """Acute findings of the models of a rule; None where the packages are not known."""
    if not isinstance(installed, Mapping):
        return None
    models = draft.entries(*path, "models") or draft.names("models")
    if any(unread(installed.get(name)) for name in models):
        return None
    return _acute(installed, models)


def _acute(installed: Mapping[str, object], models: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in models:
        package = installed.get(name)
        if isinstance(package, InstalledModel):
            found |= package.acute
    return found


def _too_much(draft: Draft, path: tuple[str, ...]) -> Faults:
    if not draft.given(*path):
        return
    allowed = cast(PatientData, draft.text("alerts", "patient_data"))
    shown = beyond(draft.text(*path), allowed)
    if shown:
        yield draft.fault(
            path,
            f"{{{shown[0]}}} shows more of the patient than 'patient_data: {allowed}' allows",
            "remove it from the text, or set alerts.patient_data to "
            f"{listed(AMOUNTS[AMOUNTS.index(allowed) + 1 :])}",
        )


def _channel(draft: Draft, path: tuple[str, ...]) -> Faults:
    first, cap = draft.number(*path, "retry_first_s"), draft.number(*path, "retry_cap_s")
    if first > cap:
        key = "retry_first_s" if draft.given(*path, "retry_first_s") else "retry_cap_s"
        yield draft.fault(
            (*path, key),
            f"the first pause ({first:g} s) is longer than the longest pause ({cap:g} s)",
            f"set retry_cap_s to {first:g} or more",
        )
    if draft.text(*path, "type") == "email":
        yield from settled(_mail(draft, path))


def _mail(draft: Draft, path: tuple[str, ...]) -> Faults:
    named, password = draft.given(*path, "username"), draft.given(*path, "password")
    if named != password:
        there, lacking = ("username", "password") if named else ("password", "username")
        yield draft.fault(
            (*path, there), f"there is a {there} without a {lacking}", f"add the line '{lacking}:'"
        )
    if draft.text(*path, "security") != "none":
        return
    if password:
        yield draft.fault(
            (*path, "security"),
            "the password would travel unencrypted",
            "write starttls or tls, or delete username and password",
        )
    local = is_loopback(draft.text(*path, "host"))
    if draft.text("alerts", "patient_data") != "none" and not local:
        yield draft.fault(
            (*path, "security"),
            "patient data would travel unencrypted",
            "write starttls or tls, or set alerts.patient_data to none",
        )


def _instead(name: str, known: Sequence[str], otherwise: str) -> str:
    meant = close_to(name, known)
    if meant is not None:
        return f"did you mean '{meant}'?"
    return f"{otherwise}, or choose from: {listed(known)}" if known else otherwise
