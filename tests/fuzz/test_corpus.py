"""Everything that fuzzing ever reached or found is read again, and fails in no new way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, seeds

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_kept_corpus_breaks_nothing(target: str) -> None:
    kept = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    assert len(kept) > len(seeds(target))
    for raw in (*kept, *seeds(target)):
        TARGETS[target](raw)
