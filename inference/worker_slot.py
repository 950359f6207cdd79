"""One worker process and the thread that starts, feeds, watches, kills and replaces it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from inference.worker_process import MEGABYTE, Birth, Kind, Reply, serve, status_bytes
from node.domain.errors import NodeError, WorkerError

#: How often a running job is looked at: memory, time, stop.
_POLL_S = 0.1
#: How often an idle worker is looked at.
_IDLE_POLL_S = 0.25
#: An initializer that takes longer hangs.
_LOADING_LIMIT_S = 1800.0
#: Between two attempts to replace a worker whose initializer failed.
_RESPAWN_PAUSE_S = 2.0

#: Never forked: the parent holds threads, sockets and a database.
_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call to make in a worker.

    Attributes:
        payload: the pickled function and its argument.
        standing: "" for a job that is done once; else the name under which it is done again in
            each process that replaces this one.
        drops: name of a standing job that is over with this one.
    """

    name: str
    payload: bytes
    time_limit_s: float
    memory_mb: int
    future: Future[Any]
    standing: str = ""
    drops: str = ""


class Stopped(WorkerError):
    """The pool was stopped."""

    def __init__(self) -> None:
        super().__init__("the node is stopping; the job is taken up again at the next start")


class Desk:
    """Jobs that wait: for any worker, or for one of them. All methods are thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[tuple[int | None, Job]] = deque()

    def put(self, job: Job, slot: int | None = None) -> None:
        """Lay a job down; `slot`: the only worker that may take it."""
        with self._changed:
            self._jobs.append((slot, job))
            self._changed.notify_all()

    def take(self, slot: int, timeout_s: float) -> Job | None:
        """The oldest job that this worker may take; None when none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._place(slot) is not None, timeout_s)
            place = self._place(slot)
            if place is None:
                return None
            job = self._jobs[place][1]
            del self._jobs[place]
            return job

    def clear(self) -> tuple[Job, ...]:
        """Take everything away."""
        with self._changed:
            jobs = tuple(job for _, job in self._jobs)
            self._jobs.clear()
            return jobs

    def _place(self, slot: int) -> int | None:
        fitting = (at for at, (only, _) in enumerate(self._jobs) if only in (None, slot))
        return next(fitting, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Told how standing jobs went in a process that replaced another.

    Attributes:
        lost: name of one that could not be done again, and why.
        again: name and result of one that was.
    """

    lost: Callable[[str, NodeError], None]
    again: Callable[[str, Any], None]


class Slot:
    """One worker.

    One thread does all of it because a process dies with the *thread* that started it
    (PR_SET_PDEATHSIG, prctl(2)), and so that nothing about a process needs a lock.
    """

    def __init__(
        self,
        number: int,
        birth: Birth,
        desk: Desk,
        stopping: threading.Event,
        listener: Listener,
    ) -> None:
        """No process starts yet."""
        self.ready: Future[None] = Future()
        self.thread = threading.Thread(target=self._serve, name=f"worker-{number}", daemon=True)
        self._number = number
        self._birth = birth
        self._desk = desk
        self._stopping = stopping
        self._listener = listener
        self._standing: dict[str, Job] = {}
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._loaded_bytes = 0
        self._largest_limit_mb = 0

    def _serve(self) -> None:
        try:
            self._ensure()
        except NodeError as error:
            self.ready.set_exception(error)
            return
        self.ready.set_result(None)
        try:
            while not self._stopping.is_set():
                self._step()
        finally:
            self._bury(kill=True)

    def _step(self) -> None:
        """Replace a dead worker, or carry out one job, or notice that there is none."""
        try:
            self._ensure()
        except NodeError as error:
            self._fail_next(error)
            return
        job = self._desk.take(self._number, _IDLE_POLL_S)
        if job is None:
            return
        self._standing.pop(job.drops, None)
        try:
            result = self._carry_out(job)
            if job.standing:
                self._standing[job.standing] = job
            job.future.set_result(result)
        except NodeError as error:
            job.future.set_exception(error)
        except Exception as error:
            # The caller must not wait for ever, nor the pool shrink, whatever went wrong here.
            self._bury(kill=True)
            fault = WorkerError(f"{job.name} could not be watched ({type(error).__name__})")
            fault.__cause__ = error
            job.future.set_exception(fault)

    def _ensure(self) -> None:
        """Replace a worker that died, also one that died while it was idle."""
        if self._process is not None and self._process.is_alive():
            return
        self._bury(kill=True)
        try:
            self._load()
        except NodeError:
            self._bury(kill=True)
            raise
        except Exception as error:
            self._bury(kill=True)
            raise WorkerError(f"no worker can be started ({type(error).__name__})") from error
        self._do_again()

    def _do_again(self) -> None:
        """The standing jobs, in a new process; one that fails here is given up, the rest stay."""
        for name, job in list(self._standing.items()):
            try:
                result = self._carry_out(job, keeps=True)
            except Stopped:
                raise
            except NodeError as error:
                del self._standing[name]
                self._listener.lost(name, error)
            else:
                self._listener.again(name, result)
            if self._process is None or not self._process.is_alive():
                # What killed it has been given up: begin anew without it.
                self._ensure()
                return

    def _fail_next(self, error: NodeError) -> None:
        """A replacement could not load: tell one waiting job why, and pause."""
        job = self._desk.take(self._number, _RESPAWN_PAUSE_S)
        if job is not None:
            job.future.set_exception(error)

    def _load(self) -> None:
        """Start a process and wait for its initializer.

        Raises:
            NodeError: as the initializer raised it, or WorkerError.
        """
        # A matrix product that waits for a second thread on a busy computer takes ten times as
        # long; what can use several threads here (networks, resampling) has its own.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Else TensorRT, cuDNN and cuBLAS multiply float32 with 10 bits of mantissa.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
        try:
            self._pipe, theirs = _spawn.Pipe()
            # Only the child may keep this end, or its death would not be seen.
            with theirs:
                self._process = _spawn.Process(
                    target=serve, args=(self._birth, theirs), name=self.thread.name, daemon=True
                )
                self._process.start()
        except OSError as error:
            raise WorkerError(f"no worker process can be started: {error.strerror}") from error
        self._result(self._await("loading", _LOADING_LIMIT_S, None), "loading", None)
        self._loaded_bytes = self._resident_bytes()

    def _carry_out(self, job: Job, *, keeps: bool = False) -> Any:  # noqa: ANN401
        """Have it done by the process; `keeps`: what it leaves behind is meant to stay."""
        if not keeps:
            self._ensure()
        assert self._pipe is not None
        try:
            self._pipe.send_bytes(pickle.dumps((job.payload, job.memory_mb)))
        except OSError as error:
            raise self._death(job.name) from error
        reply = self._await(job.name, job.time_limit_s, job.memory_mb)
        # An arena that one large job left behind is not the fault of the small job after it.
        self._largest_limit_mb = max(self._largest_limit_mb, job.memory_mb)
        if (job.standing or job.drops) and reply.kind is Kind.RESULT:
            self._loaded_bytes = self._resident_bytes()
        kept = self._resident_bytes() - self._loaded_bytes
        if reply.kind is Kind.MEMORY or kept > self._largest_limit_mb * MEGABYTE:
            # Half-done allocations and slow leaks end with the process, between two jobs.
            self._bury(kill=True)
        return self._result(reply, job.name, job.memory_mb)

    def _await(self, name: str, time_limit_s: float, memory_mb: int | None) -> Reply:
        """Watch the process until it replies; kill it at a limit."""
        assert self._pipe is not None
        assert self._process is not None
        limit_bytes = None if memory_mb is None else self._resident_bytes() + memory_mb * MEGABYTE
        deadline = time.monotonic() + time_limit_s
        while True:
            left = deadline - time.monotonic()
            waiting: list[Any] = [self._pipe, self._process.sentinel]
            multiprocessing.connection.wait(waiting, timeout=max(0.0, min(_POLL_S, left)))
            # A reply that was sent before the process died still counts.
            if self._pipe.poll():
                reply = self._receive(name)
                if reply.kind is not Kind.WAITED:
                    return reply
                deadline += reply.value
                continue
            if not self._process.is_alive():
                raise self._death(name)
            if self._stopping.is_set():
                self._bury(kill=True)
                raise Stopped
            if limit_bytes is not None and self._resident_bytes() > limit_bytes:
                self._bury(kill=True)
                raise _too_large(name, memory_mb)
            if left <= 0:
                self._bury(kill=True)
                raise WorkerError(
                    f"{name} took longer than {time_limit_s:g} s and was stopped; if the study "
                    "is sound, raise the time limit of the model"
                )

    def _receive(self, name: str) -> Reply:
        assert self._pipe is not None
        try:
            data = self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._death(name) from error
        try:
            reply = pickle.loads(data)  # noqa: S301 - from our own child
        except Exception as error:
            raise WorkerError(
                f"the result of {name} cannot be read ({type(error).__name__}); report this"
            ) from error
        assert isinstance(reply, Reply)
        return reply

    def _result(self, reply: Reply, name: str, memory_mb: int | None) -> Any:  # noqa: ANN401
        if reply.kind is Kind.ERROR:
            raise reply.value
        if reply.kind is Kind.MEMORY:
            raise _too_large(name, memory_mb)
        if reply.kind is Kind.FAULT:
            raise WorkerError(f"{name} failed: {reply.value}; report this")
        return reply.value

    def _death(self, name: str) -> WorkerError:
        """Why the process is gone."""
        code = self._bury(kill=False)
        if code is not None and code < 0:
            signal_name = signal.Signals(-code).name
            hint = " (the kernel does so when memory runs out)" if signal_name == "SIGKILL" else ""
            return WorkerError(f"the worker running {name} was killed by {signal_name}{hint}")
        return WorkerError(f"the worker running {name} ended with exit status {code}")

    def _bury(self, *, kill: bool) -> int | None:
        """End and reap the process; its exit code, negative for a signal."""
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if process is None or process.pid is None:
            return None
        if kill:
            process.kill()
        else:
            process.join(1.0)
            if process.exitcode is None:
                process.kill()
        process.join()
        code = process.exitcode
        process.close()
        return code

    def _resident_bytes(self) -> int:
        if self._process is None or self._process.pid is None:
            return 0
        return status_bytes(self._process.pid, "VmRSS")


def _too_large(name: str, memory_mb: int | None) -> WorkerError:
    if memory_mb is None:
        return WorkerError(f"there was not enough memory for {name}; run fewer workers")
    return WorkerError(
        f"{name} needed more than {memory_mb} MB of memory and was stopped; if the study is sound, "
        "raise the memory limit of the model"
    )
