"""What no single value can tell: contradictions between sections, and names that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable

from config.crosscheck_alerts import alerts
from config.crosscheck_feedback import feedback
from config.crosscheck_names import Installed, asked, models, repeats, routes, senders
from config.draft import Draft, Faults, Unsettled, settled
from config.fields import is_loopback
from node.domain.errors import ConfigFault

__all__ = ["Installed", "contradictions"]

Check = Callable[[Draft], Faults]

ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
DAY_S = 86400.0


def contradictions(draft: Draft, installed_models: Installed) -> tuple[ConfigFault, ...]:
    """Every fault between values.

    Args:
        installed_models: names of the model packages on this computer; as a mapping, with the
            names of the thresholds of each, which are then checked too.
    """
    checks: tuple[Check, ...] = (
        _label,
        _quiet_times,
        _retention,
        _associations,
        _peers,
        _ports,
        _destinations,
        _retries,
        _proofs,
        _metrics,
        _triton,
        lambda draft: models(draft, installed_models),
        lambda draft: routes(draft, installed_models),
        senders,
        asked,
        repeats,
        feedback,
        lambda draft: alerts(draft, installed_models),
    )
    found: list[ConfigFault] = []
    for check in checks:
        found.extend(settled(check(draft)))
    return tuple(found)


def _label(draft: Draft) -> Faults:
    if draft.text("node", "label") == "cleared" and not draft.text("node", "responsible_person"):
        yield draft.fault(
            ("node", "label"),
            "the research mark is removed, but nobody answers for that",
            "add a line 'responsible_person: First Last' below it, or write research",
        )


def _quiet_times(draft: Draft) -> Faults:
    quiet = draft.number("completion", "quiet_time_s")
    interrupted = draft.number("completion", "interrupted_quiet_time_s")
    if interrupted < quiet:
        key = "quiet_time_s"
        if draft.given("completion", "interrupted_quiet_time_s"):
            key = "interrupted_quiet_time_s"
        yield draft.fault(
            ("completion", key),
            f"the wait after an interruption ({interrupted:g} s) is shorter than the ordinary "
            f"one ({quiet:g} s)",
            f"set interrupted_quiet_time_s to {quiet:g} or more",
        )


def _triton(draft: Draft) -> Faults:
    if "triton" in draft.entries("workers", "providers") and not draft.given("workers", "triton"):
        yield draft.fault(
            ("workers", "providers"),
            "triton stands in the list, but no server is named",
            "add 'triton: {host: ...}' below 'workers:', or take it out of the list",
        )


def _retention(draft: Draft) -> Faults:
    days = draft.number("storage", "retention_days")
    wait_s = draft.number("completion", "interrupted_quiet_time_s")
    if days * DAY_S < wait_s:
        yield draft.fault(
            ("storage", "retention_days"),
            f"studies would be deleted ({days * DAY_S:g} s after their last image) before they "
            f"count as complete ({wait_s:g} s)",
            "set retention_days to 1 or more",
        )


def _associations(draft: Draft) -> Faults:
    total = draft.number("receiver", "limits", "max_associations")
    each = draft.number("receiver", "limits", "max_associations_per_peer")
    if each > total:
        key = "max_associations"
        if draft.given("receiver", "limits", "max_associations_per_peer"):
            key = "max_associations_per_peer"
        yield draft.fault(
            ("receiver", "limits", key),
            f"one peer may open {each:g} associations, but all together only {total:g}",
            f"set max_associations_per_peer to {total:g} or less, or raise max_associations",
        )


def _peers(draft: Draft) -> Faults:
    seen: dict[str, str] = {}
    for peer in draft.names("receiver", "peers"):
        path = ("receiver", "peers", peer)
        yield from settled(_repeated_titles(draft, path, seen))
        yield from settled(_peer(draft, path))


def _repeated_titles(draft: Draft, path: tuple[str, ...], seen: dict[str, str]) -> Faults:
    peer = path[-1]
    for number, title in enumerate(draft.entries(*path, "ae_titles")):
        if title and title in seen:
            where = "this list" if seen[title] == peer else f"peer '{seen[title]}'"
            yield draft.fault(
                (*path, "ae_titles", number),
                f"this AE title already stands in {where}",
                "keep it once; one peer can have several addresses",
            )
        seen.setdefault(title, peer)


def _peer(draft: Draft, path: tuple[str, ...]) -> Faults:
    titles = draft.entries(*path, "ae_titles")
    any_title = draft.truth(*path, "any_ae_title")
    if not titles and not any_title:
        yield draft.fault(
            path,
            "no AE title is accepted from this peer",
            "add 'ae_titles: [CT1]' with the names it calls itself, or 'any_ae_title: true'",
        )
    if titles and any_title:
        yield draft.fault(
            (*path, "any_ae_title"),
            "any AE title is accepted, and yet some are listed",
            "delete the line ae_titles, or write any_ae_title: false",
        )
    if any_title:
        for number, address in enumerate(draft.entries(*path, "addresses")):
            if address in ("0.0.0.0/0", "::/0"):
                yield draft.fault(
                    (*path, "addresses", number),
                    "with 'any_ae_title: true' every computer that reaches this one may send",
                    "name the network of the scanners, for example 192.168.10.0/24, or list "
                    "ae_titles",
                )


def _ports(draft: Draft) -> Faults:
    dicom, http = draft.number("receiver", "port"), draft.number("http", "port")
    hosts = draft.text("receiver", "host"), draft.text("http", "host")
    overlap = hosts[0] == hosts[1] or any(host in ANY_ADDRESS for host in hosts)
    if dicom == http and overlap:
        at = ("http", "port") if draft.given("http", "port") else ("receiver", "port")
        other = "receiver.port" if at[0] == "http" else "http.port"
        yield draft.fault(
            at,
            f"port {dicom:g} is used twice, here and by {other}",
            f"give one of the two another port, for example {other_port(int(dicom))}",
        )


def other_port(port: int) -> int:
    """A port to propose instead."""
    return 8085 if port != 8085 else 8086


def _destinations(draft: Draft) -> Faults:
    seen: dict[tuple[str, ...], str] = {}
    for name in draft.names("destinations"):
        path = ("destinations", name)
        is_web = draft.text(*path, "type") == "dicomweb"
        keys = ("url",) if is_web else ("ae_title", "host", "port")
        try:
            place = tuple(draft.text(*path, key) for key in keys)
        except Unsettled:
            continue
        if place in seen:
            same = "address" if is_web else "AE title, host and port"
            yield draft.fault(
                path,
                f"the same {same} as destination '{seen[place]}' on line "
                f"{draft.line('destinations', seen[place])}: it would get every result twice",
                "delete one of the two",
            )
        seen.setdefault(place, name)
        if not is_web:
            yield from settled(_loop(draft, path, place[1]))


def _loop(draft: Draft, path: tuple[str, ...], host: str) -> Faults:
    own_port = draft.number("receiver", "port")
    titles = draft.entries("receiver", "ae_titles") or (draft.text("node", "ae_title"),)
    same_port = draft.number(*path, "port") == own_port
    if same_port and is_loopback(host) and draft.text(*path, "ae_title") in titles:
        yield draft.fault(
            path,
            "this is the receiver of this very node: results would come back to it for ever",
            "enter the AE title, host and port of the PACS",
        )


def _retries(draft: Draft) -> Faults:
    for name in draft.names("destinations"):
        yield from settled(_retry(draft, ("destinations", name)))


def _retry(draft: Draft, path: tuple[str, ...]) -> Faults:
    first, cap = draft.number(*path, "retry_first_s"), draft.number(*path, "retry_cap_s")
    if first > cap:
        key = "retry_first_s" if draft.given(*path, "retry_first_s") else "retry_cap_s"
        yield draft.fault(
            (*path, key),
            f"the first pause ({first:g} s) is longer than the longest pause ({cap:g} s)",
            f"set retry_cap_s to {first:g} or more",
        )


def _proofs(draft: Draft) -> Faults:
    if draft.text("storage", "delete_when") != "proved":
        return
    for name in draft.names("destinations"):
        yield from settled(_never_deleted(draft, ("destinations", name, "proof")))


def _never_deleted(draft: Draft, path: tuple[str, ...]) -> Faults:
    if draft.text(*path) == "none":
        yield draft.fault(
            path,
            "without proof of delivery no study would ever be deleted, and the disk would fill",
            "write automatic, or add 'delete_when: accepted' below 'storage:'",
        )


def _metrics(draft: Draft) -> Faults:
    host, is_open = draft.text("http", "host"), draft.truth("http", "open_metrics")
    token = draft.given("http", "metrics_token")
    if token and is_open:
        yield draft.fault(
            ("http", "open_metrics"),
            "metrics are open to everybody, and yet a token is set",
            "delete one of the two lines",
        )
    if not token and not is_open and not is_loopback(host):
        yield draft.fault(
            ("http", "host"),
            "other computers can reach this port, and nothing protects /metrics",
            "add 'metrics_token: file:/path', or 'open_metrics: true', or write 127.0.0.1",
        )
