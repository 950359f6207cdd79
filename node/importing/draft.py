"""A package that is not written yet: what an importer hands to the writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.importing.parity import Parity
from node.importing.sandbox import Isolation

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What CARD.md says beside the parity table.

    Attributes:
        origin: where the model came from, one sentence. licence: as the source states it; ""
            when it states none.
        intended_use: one paragraph. network: its kind and size, one sentence.
        steps: pre-processing, windows and post-processing, a line each, in words.
        notes: what was changed, assumed or dropped. unknown: what nobody knows yet.
        private_names: structures without a standard code.
        isolation: of the process that read the foreign files; None if there was none.
    """

    origin: str
    licence: str
    intended_use: str
    network: str
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    private_names: tuple[str, ...] = ()
    isolation: Isolation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDraft:
    """Everything of a package, before digests.

    Attributes:
        manifest: `model.yaml` as a tree of plain values, without `sha256` of networks and
            without `golden`: the writer adds them.
        files: path inside the package -> file to copy (networks as the manifest names them).
        golden_inputs: as `Golden.inputs` holds them, one batch a network. golden_expected: the
            framework's answer, whole; the writer keeps a fixed sample of it.
        parity: one row a generated case.
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, Path]
    golden_inputs: Mapping[str, Array]
    golden_expected: Mapping[str, Array]
    parity: tuple[Parity, ...]
    card: CardFacts
    seconds: Mapping[str, float] = field(default_factory=dict)
