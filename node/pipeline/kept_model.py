"""One model in use, as the roster keeps it: its state, what failed here, and why it is out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inference.providers import Probe
from node.domain.errors import ModelError, NodeError, WorkerError
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


def blamed(error: NodeError, model: KeptModel) -> tuple[str, ...]:
    """Labels of what may be at fault: of the network that failed, or of the process that died."""
    if isinstance(error, WorkerError):
        return model.labels
    return (error.provider,) if isinstance(error, ModelError) and error.provider else ()


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
