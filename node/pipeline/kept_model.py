"""One model in use, as the roster keeps it: its state, what failed here, and why it is out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from inference.providers import Probe
from node.domain.errors import NodeError, WorkerError
from node.domain.serving import ModelState
from node.ledger.service import ModelRow
from node.pipeline.resident import ModelSetup
from node.pipeline.wording import in_short


@dataclass(slots=True)
class KeptModel:
    """One model in use; `setup` is what the workers hold now, or None.

    Attributes:
        barred: label of what failed here -> cause. labels: what its networks run on now.
        doubt: which of its results may be wrong, since a provider gave other numbers; or "".
        deaths: golden cases in a row whose process died, hung or grew.
    """

    base: ModelSetup
    since: float
    state: ModelState = ModelState.LOADING
    cause: str = ""
    setup: ModelSetup | None = None
    barred: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    proved_at: float = 0.0
    labels: tuple[str, ...] = ()
    was_settled: bool = False
    is_suspect: bool = False
    doubt: str = ""
    deaths: int = 0

    @property
    def uses(self) -> tuple[str, ...]:
        """Packages that it builds on."""
        return self.base.manifest.uses

    @property
    def fallen(self) -> dict[str, str]:
        """Providers that are configured, but failed here -> cause.

        Not what the package alone keeps out: without a golden case a server, or a lowered
        precision, is never tried.
        """
        unproved = self.base.manifest.golden is None
        return {
            label: why
            for label, why in dict(self.barred).items()
            if not (unproved and ("/" in label or label == "triton"))
        }


def words_lost(model: KeptModel) -> dict[str, str]:
    """What failed and is of no provider that serves it now."""
    serving = {label.split("/")[0] for label in model.labels}
    return {label: why for label, why in model.fallen.items() if label.split("/")[0] not in serving}


def fallen_in_words(model: KeptModel) -> str:
    """That it serves on another provider than the best one, and why; "" where it does not.

    A precision that is not reached, while the provider itself serves, is no trouble.
    """
    lost = words_lost(model)
    if not lost:
        return ""
    causes = "; ".join(f"{label} failed: {in_short(why)}" for label, why in lost.items())
    doubt = f"; {model.doubt}" if model.doubt else ""
    return f"it runs on {' and '.join(model.labels)}, because {causes}{doubt}"


def doubt_about(model: KeptModel, provider: str, now: float) -> str:
    """Which results are to be looked at, once a provider gave other numbers at `now`."""
    return (
        f"its results between {_told(model.proved_at)} and {_told(now)} came from {provider} and "
        "may be wrong: look at them, and `rerun` those studies"
    )


def _told(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def none_agrees(cause: str, fallen: Mapping[str, str]) -> str:
    """The cause, and what the providers that were tried before it did."""
    before = [f"{label}: {in_short(why)}" for label, why in fallen.items() if why not in cause]
    return "; ".join([cause, *(f"before that {one}" for one in before)])


def why_out(error: NodeError) -> str:
    """The cause; of a process that died, hung or grew, without the words about studies."""
    if not isinstance(error, WorkerError):
        return str(error)
    first = str(error).split("; ")[0]
    for function in ("open_model", "prove_model"):
        first = first.replace(function, "loading and proving it")
    return (
        f"{first}; install the package again, or raise workers.load_limit_s or the package's "
        "job_memory_mb where this computer is only slow or the network only large"
    )


def is_still_proved(model: KeptModel, row: ModelRow | None, found: Probe) -> bool:
    """Did exactly this package reproduce its golden case on exactly this computer?"""
    return (
        row is not None
        and row.proved_at is not None
        and row.state is not ModelState.QUARANTINED
        and row.digest == model.base.manifest.identity.digest
        and row.fingerprint == found.fingerprint
    )
