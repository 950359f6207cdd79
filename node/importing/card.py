"""CARD.md of an imported package: what it is, how exactly it was taken over, what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from node.importing.draft import PackageDraft
from node.importing.parity import Parity

_RESEARCH = (
    "**Imported from elsewhere. The numbers below prove that this node computes what the source "
    "framework computes. They say nothing about how well the model does on patients.**"
)


def card_text(draft: PackageDraft, digests: Mapping[str, str]) -> str:
    """The whole page. `digests`: SHA-256 of the package's files by path."""
    return "\n".join(_lines(draft, digests)).rstrip() + "\n"


def _lines(draft: PackageDraft, digests: Mapping[str, str]) -> Iterator[str]:
    facts = draft.card
    yield from (f"# {draft.manifest['title']}", "", _RESEARCH, "")
    yield from ("## What it is", "", facts.network, "", facts.origin, "")
    yield from (f"Licence: {facts.licence or 'not stated by the source: ask before use'}.", "")
    yield from ("## Intended use", "", facts.intended_use, "")
    if facts.steps:
        yield from ("## What is done to an image", "", *_list(facts.steps), "")
    yield from ("## Parity with the source framework", "", *_parity(draft.parity), "")
    if facts.notes:
        yield from ("## Changed, assumed or left out at the import", "", *_list(facts.notes), "")
    if facts.private_names:
        yield from ("## Structures without a standard code", "")
        yield from ("These carry private codes of the scheme 99VIGIE:", "")
        yield from (*_list(facts.private_names), "")
    yield from ("## Not known", "", *_list(facts.unknown), "")
    yield from ("## Files", "", "| file | SHA-256 |", "|---|---|")
    yield from (f"| {path} | `{digest}` |" for path, digest in sorted(digests.items()))
    sources = draft.manifest.get("source", {}).get("files", {})
    yield from (f"| source: {path} | `{digest}` |" for path, digest in sorted(sources.items()))
    if facts.isolation is not None:
        yield from ("", "## How the foreign files were read", "")
        yield from _list(
            (
                f"network: {facts.isolation.network}",
                f"files: {facts.isolation.files}",
                f"processes: {facts.isolation.processes}",
            )
        )


def _parity(rows: Iterable[Parity]) -> Iterator[str]:
    yield "Generated volumes went through the framework's own objects and through this package."
    yield ""
    yield (
        "| generated volume | input, max | logits, max | logits, mean | largest logit | "
        "Dice, lowest | Dice, mean | equal labels | seconds, ours / theirs |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    notes: list[str] = []
    for row in rows:
        entered = f"{row.preprocessed.largest:.1e}" if row.preprocessed else "-"
        labels = row.labels
        dice = (
            f"{labels.lowest_dice:.6f} | {labels.mean_dice:.6f} | {labels.equal:.6f}"
            if labels
            else "- | - | -"
        )
        yield (
            f"| {row.case} | {entered} | {row.logits.largest:.1e} | {row.logits.mean:.1e} | "
            f"{row.logits.scale:.3g} | {dice} | {row.our_seconds:.1f} / {row.their_seconds:.1f} |"
        )
        notes.extend(f"{row.case}: {note}" for note in row.notes)
    if notes:
        yield ""
        yield from _list(notes)


def _list(items: Iterable[str]) -> Iterator[str]:
    return (f"- {item}" for item in items)
