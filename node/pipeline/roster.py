"""Which models are in use, each for itself: loaded, proved, watched, taken out of service.

A package that cannot be loaded, hangs, eats memory or gives other numbers than its golden case is
quarantined with its cause; the others go on. The way back: a new start, `models golden NAME`, or
other software on this computer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from inference.providers import Probe
from node.domain.errors import GoldenMismatch, ModelError, NodeError, WorkerError
from node.domain.serving import ModelState
from node.ledger.service import ModelRow, Service
from node.metrics import Metrics
from node.pipeline.holding import Held, Holder
from node.pipeline.in_service import RosterSettings
from node.pipeline.kept_model import (
    KeptModel,
    doubt_about,
    fallen_in_words,
    is_still_proved,
    none_agrees,
    why_out,
)
from node.pipeline.loop import Loop
from node.pipeline.proofs import proof_values, speeds_of
from node.pipeline.resident import ModelProof, ModelSetup
from node.pipeline.survey import Survey
from node.pipeline.wording import in_short

log = structlog.get_logger(__name__)

INTERVAL_S = 2.0
#: How the reason of an analysis begins that ended because its model was out of service.
OUT_OF_SERVICE = "the model is out of service"
#: A golden case that is due waits this long for a moment without jobs.
PATIENCE_S = 3600.0


class Roster:
    """The models in use. Its questions may be asked from any thread."""

    def __init__(
        self,
        holder: Holder,
        setups: Sequence[ModelSetup],
        settings: RosterSettings,
        service: Service,
        metrics: Metrics,
    ) -> None:
        """`setups`: in the order in which they are loaded; the holder adds engine options."""
        self._holder = holder
        self._settings = settings
        self._service = service
        self._metrics = metrics
        self._clock = settings.clock
        self._lock = threading.RLock()
        self._models = {setup.name: KeptModel(setup, self._clock()) for setup in setups}
        self._unread: dict[str, str] = {}
        self._lost: dict[str, str] = {}
        self._survey = Survey(holder.survey, self._clock)
        self.loop = Loop("models", self.step, interval_s=INTERVAL_S)
        self.builds = Loop("engines", self.build, interval_s=INTERVAL_S)
        holder.stopping = lambda: self.loop.stopping or self.builds.stopping
        #: Are there no jobs in hand? Golden cases that are due wait for such a moment.
        self.is_idle: Callable[[], bool] = lambda: True
        #: Called when jobs of a model may be claimed, or have to be ended.
        self.on_change: Callable[[], None] = lambda: None
        #: Called when a model serves, perhaps again.
        self.on_return: Callable[[str], None] = lambda _name: None
        for name in self._models:
            metrics.model_state(name, ModelState.LOADING)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Every thread."""
        return self.loop, self.builds

    def start(self) -> None:
        """Begin to load, and to watch."""
        for loop in self.loops:
            loop.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Begin nothing more; the pool has to be stopped for what is under way to end."""
        for loop in self.loops:
            loop.stop(timeout_s)

    def load_all(self) -> None:
        """Try every model once, here and now; for a node that only works off a folder."""
        while self._in_state(ModelState.LOADING):
            self.step()

    def refuse(self, name: str, cause: str) -> None:
        """A package that cannot even be read; it stays out until the node starts again."""
        with self._lock:
            self._unread[name] = cause
        self._tell(name, ModelState.QUARANTINED, cause)

    def states(self) -> Mapping[str, tuple[ModelState, str]]:
        """State and cause of each model."""
        with self._lock:
            found = {name: (one.state, one.cause) for name, one in self._models.items()}
            unread = {name: (ModelState.QUARANTINED, why) for name, why in self._unread.items()}
            return found | unread

    def out(self) -> Mapping[str, str]:
        """Models that are out of service, with the cause."""
        states = self.states().items()
        return {name: why for name, (state, why) in states if state is ModelState.QUARANTINED}

    def fallen_back(self) -> Mapping[str, str]:
        """Models that serve on another provider than the best one -> which, and why."""
        with self._lock:
            serving = {name: one for name, one in self._models.items() if one.state.serves}
            return {n: told for n, one in serving.items() if (told := fallen_in_words(one))}

    def unready(self) -> str:
        """What keeps the node from being ready: "" once every model was tried and one serves."""
        with self._lock:
            loading = [name for name, one in self._models.items() if not one.was_settled]
        if loading:
            return f"loading: {', '.join(loading)}"
        out = self.out()
        if out and len(out) == len(self.states()):
            return "no model can be used: " + "; ".join(f"{n}: {why}" for n, why in out.items())
        return ""

    def waiting(self) -> tuple[str, ...]:
        """Models whose analyses wait: they are loading, or out of service since a short time."""
        since = self._clock() - self._settings.wait_s
        with self._lock:
            waiting = {
                name
                for name, one in self._models.items()
                if one.state is ModelState.LOADING
                or (one.state is ModelState.QUARANTINED and one.since > since)
            }
            return tuple(n for n, one in self._models.items() if waiting & {n, *one.uses})

    def refusal(self, name: str) -> str:
        """Why an analysis by this model ends as failed without being tried; "" when it may run."""
        with self._lock:
            if name not in self._models:
                return ""
            out = self.out()
            for used in (name, *self._models[name].uses):
                if used in out:
                    built = "" if used == name else f"it builds on {used}: "
                    return f"{OUT_OF_SERVICE}: {built}{in_short(out[used])}"
            return ""

    def setup_of(self, name: str) -> ModelSetup:
        """The model as the workers hold it; KeyError when it is not in use."""
        return replace(self._held(name), device=self._settings.device)

    def _held(self, name: str) -> ModelSetup:
        with self._lock:
            model = self._models[name]
            return model.setup or model.base

    def succeeded(self, name: str) -> None:
        """An analysis came to an end."""
        with self._lock:
            if name in self._models:
                self._models[name].failures = 0

    def failed(self, name: str, cause: str) -> None:
        """An analysis failed by the fault of the model: it died, hung, or gave no numbers."""
        with self._lock:
            model = self._models.get(name)
            if model is None or not model.state.serves:
                return
            model.failures += 1
            number = model.failures
        if number >= self._settings.failures:
            self._quarantine(name, f"{number} analyses in a row failed, the last one: {cause}")

    def lost(self, name: str, error: NodeError) -> None:
        """A worker that replaced another could not load a model again.

        Called in the thread of that worker, which must not wait for anything.
        """
        with self._lock:
            self._lost[name] = f"could not load it again: {error}"
        self.loop.wake()

    def held_again(self, name: str, proof: ModelProof) -> None:
        """A worker that replaced another loaded a model again; called there, as `lost`."""
        if not proof.passed_over:
            return
        causes = "; ".join(f"{label}: {why}" for label, why in proof.passed_over.items())
        with self._lock:
            self._lost[name] = f"loaded it again on another provider than the others ({causes})"
        self.loop.wake()

    def step(self) -> bool:
        """One thing to do; False when there is none."""
        for name, cause in self._take_lost().items():
            # It may have been the moment; a proof in a process of its own tells.
            self._begin_again(name, f"a worker {cause}")
        for name in self._service.take_asked():
            self._begin_again(name, "asked for by hand")
        try:
            found, has_changed = self._survey.take()
        except ModelError as error:
            # No model can be proved on a computer like this.
            for name in self._in_state(ModelState.LOADING):
                self._quarantine(name, str(error))
            raise
        for name in tuple(self._models) if has_changed else ():
            self._begin_again(name, "the software of this computer has changed")
        for name in self._in_state(ModelState.LOADING):
            self._admit(name, found)
            return True
        return self._prove_one()

    def build(self) -> bool:
        """Build the engines of one model, while another provider serves; False: none waits."""
        for name in self._in_state(ModelState.BUILDING):
            self._build(name)
            return True
        return False

    def _begin_again(self, name: str, why: str) -> None:
        with self._lock:
            model = self._models.get(name)
            if model is None:
                return
            model.barred.clear()
            model.doubt = ""
            model.failures = 0
            model.is_suspect = True
        log.info("model.begun_again", model=name, why=why)
        self._set(name, ModelState.LOADING)

    def _admit(self, name: str, found: Probe) -> None:
        """Load one model into every worker, or quarantine it; the others are not touched."""
        model, row = self._models[name], self._service.get(name)
        is_proved = not model.is_suspect and is_still_proved(model, row, found)
        if is_proved and row is not None:
            model.barred |= row.barred
            model.doubt = str(row.proof.get("doubt", ""))
        known = speeds_of(row.proof) if is_proved and row is not None else {}
        base = replace(model.base, speeds=known)
        try:
            held = self._holder.hold(base, model.barred, found, is_proved=is_proved)
        except NodeError as error:
            if not self.loop.stopping:
                self._quarantine(name, none_agrees(why_out(error), model.fallen))
            return
        self._serve(model, held, found)

    def _build(self, name: str) -> None:
        model, found = self._models[name], self._survey.found
        assert found is not None
        waiting = self._holder.waiting(model.base, model.barred, found)
        self._metrics.watch_engines(name, [one.engines for one in waiting if one.engines])
        log.info("engines.building", model=name, engines=[one.label for one in waiting])
        try:
            held = self._holder.build(model.base, model.barred, found)
        except NodeError as error:
            if not self.builds.stopping:
                log.error("engines.failed", model=name, cause=str(error))
                # What served before may have been let go in some workers.
                self._set(name, ModelState.LOADING)
            return
        finally:
            self._metrics.watch_engines(name, ())
        self._serve(model, held, found)

    def _serve(self, model: KeptModel, held: Held, found: Probe) -> None:
        with self._lock:
            model.setup = held.setup
            model.labels = tuple(dict.fromkeys(held.proof.labels.values()))
            model.is_suspect = False
        self._proved(model, held.proof, found)
        self._set(model.base.name, ModelState.BUILDING if held.waiting else ModelState.READY)
        name = model.base.name
        for other in [n for n, one in self._models.items() if name in (n, *one.uses)]:
            self.on_return(other)

    def _prove_one(self) -> bool:
        """The golden case of the model that was proved longest ago, when it is due."""
        now = self._clock()
        with self._lock:
            serving = [(one.proved_at, name) for name, one in self._models.items() if one.setup]
        proved_at, name = min(serving, default=(now, ""))
        late_s = now - proved_at - self._settings.golden_every_s
        if late_s < 0 or (not self.is_idle() and late_s < PATIENCE_S):
            return False
        model, found = self._models[name], self._survey.found
        assert found is not None
        try:
            proof = self._holder.prove(self._held(name))
        except NodeError as error:
            if not self.loop.stopping and not self._fall_back(model, error, found):
                self._quarantine(name, none_agrees(why_out(error), model.fallen))
            return True
        model.deaths = 0
        self._proved(model, proof, found)
        return True

    def _fall_back(self, model: KeptModel, error: NodeError, found: Probe) -> bool:
        """Load it anew, without the provider that failed; False: none is left.

        Its analyses wait until the golden case has been reproduced. A process that died, hung or
        grew says nothing about a provider: it may have been the moment, and loading tells. One
        whose proofs end so again and again is taken out.
        """
        name = model.base.name
        failed = error.provider if isinstance(error, ModelError) else ""
        if failed:
            barred = model.barred | {failed: str(error)}
            if not self._holder.is_left(model.base, barred, found):
                return False
            log.error("provider.failed", model=name, provider=failed, cause=str(error))
            with self._lock:
                model.barred |= barred
                if isinstance(error, GoldenMismatch):
                    model.doubt = doubt_about(model, failed, self._clock())
        elif not isinstance(error, WorkerError) or model.deaths + 1 >= self._settings.failures:
            return False
        else:
            model.deaths += 1
            log.error("model.proof_ended", model=name, times=model.deaths, cause=str(error))
        with self._lock:
            model.is_suspect = True
        self._set(name, ModelState.LOADING)
        return True

    def _proved(self, model: KeptModel, proof: ModelProof, found: Probe) -> None:
        name, values = model.base.name, proof_values(proof, model.doubt)
        model.proved_at = self._clock()
        model.failures = 0
        row = ModelRow(
            model=name,
            digest=model.base.manifest.identity.digest,
            fingerprint=found.fingerprint,
            barred=dict(model.barred),
            proof=values,
        )
        self._service.proved(row)
        self._metrics.model_proved(name, values, model.proved_at)
        log.info("model.proved", model=name, passed_over=dict(model.barred), **values)

    def _take_lost(self) -> Mapping[str, str]:
        with self._lock:
            lost, self._lost = self._lost, {}
            return {name: cause for name, cause in lost.items() if name in self._models}

    def _quarantine(self, name: str, cause: str) -> None:
        with self._lock:
            self._models[name].setup = None
            self._models[name].is_suspect = True
        self._set(name, ModelState.QUARANTINED, cause)
        self._holder.let_go(name)

    def _set(self, name: str, state: ModelState, cause: str = "") -> None:
        with self._lock:
            model = self._models[name]
            if model.state is not state:
                model.since = self._clock()
            model.state, model.cause = state, cause
            model.was_settled = model.was_settled or state is not ModelState.LOADING
        self._tell(name, state, cause)

    def _tell(self, name: str, state: ModelState, cause: str) -> None:
        self._service.set_state(name, state, cause)
        self._metrics.model_state(name, state)
        if cause:
            log.error("model.quarantined", model=name, cause=cause)
        else:
            log.info("model.state", model=name, state=state.value)
        self.on_change()

    def _in_state(self, state: ModelState) -> tuple[str, ...]:
        with self._lock:
            return tuple(name for name, one in self._models.items() if one.state is state)
