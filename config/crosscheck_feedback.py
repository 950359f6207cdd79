"""Contradictions in what is said about reader feedback."""

from __future__ import annotations

from config.draft import Draft, Faults

_ANSWERS = ("accepted", "rejected", "corrected")


def feedback(draft: Draft) -> Faults:
    """A code that says two things, and one secret for two readers."""
    seen: dict[str, str] = {}
    for answer in _ANSWERS:
        path = ("feedback", "assessment_codes", answer)
        for place, code in enumerate(draft.entries(*path)):
            if seen.setdefault(code, answer) != answer:
                yield draft.fault(
                    (*path, place),
                    f"this code says '{seen[code]}' already",
                    "keep it below the one answer that the viewer means by it",
                )
    files: dict[str, str] = {}
    for name in draft.names("http", "api_tokens"):
        where = draft.text("http", "api_tokens", name)
        if files.setdefault(where, name) != name:
            yield draft.fault(
                ("http", "api_tokens", name),
                f"'{files[where]}' has the same token, so nobody could tell who answered",
                "give each reader a file with a text of its own",
            )
