"""Killable worker processes that keep what they loaded.

A hung decoder, a segfault in a native library or a study that needs all the memory ends one
process, never the node. Processes are spawned, not forked: the parent holds threads, sockets
and a database.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import queue
import signal
import threading
import time
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
#: A first TensorRT build of a 3-D network takes minutes.
_LOADING_LIMIT_S = 1800.0
#: Between two attempts to replace a worker whose initializer failed.
_RESPAWN_PAUSE_S = 2.0

_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    name: str
    payload: bytes
    time_limit_s: float
    memory_mb: int
    future: Future[Any]


class _Stopped(WorkerError):
    """The pool was stopped."""

    def __init__(self) -> None:
        super().__init__("the node is stopping; the job is taken up again at the next start")


class WorkerPool:
    """A fixed number of workers; `run` waits for a free one. All methods are thread-safe."""

    def __init__(
        self,
        size: int,
        *,
        initializer: Callable[[Any], Any] | None = None,
        argument: object = None,
    ) -> None:
        """No process starts yet.

        Args:
            size: number of processes, 1 or more.
            initializer: run once in each process before its first job, for example to load
                networks into module variables; a top-level function. Its result is ignored.
            argument: what it is called with; pickled.
        """
        if size < 1:
            raise ValueError("a pool has at least one worker")
        self.size = size
        self._birth = Birth(parent=os.getpid(), initializer=initializer, argument=argument)
        # What cannot be sent to a process is told here, not in a thread.
        pickle.dumps(self._birth)
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._slots: list[_Slot] = []

    def start(self) -> None:
        """Start the processes; returns when every initializer has returned.

        Raises:
            NodeError: as the initializer raised it; the pool is then stopped.
            WorkerError: a process died, hung or raised something else while it loaded.
        """
        with self._lock:
            if self._stopping.is_set():
                raise _Stopped
            if not self._slots:
                self._slots = [
                    _Slot(f"worker-{number}", self._birth, self._jobs, self._stopping)
                    for number in range(self.size)
                ]
                for slot in self._slots:
                    slot.thread.start()
        try:
            for slot in self._slots:
                slot.ready.result()
        except NodeError:
            self.stop()
            raise

    def run(
        self,
        function: Callable[[Any], Any],
        argument: object,
        *,
        time_limit_s: float,
        memory_mb: int,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Call `function(argument)` in a worker and wait for its result.

        Starts the pool if nobody has. Waiting for a free worker does not count as time of
        the job. A worker that was killed or died is replaced before the next job.

        Args:
            function: a top-level function. argument: pickled, as is the result.
            time_limit_s: after which the worker is killed.
            memory_mb: by how many MB (10^6) its resident memory may grow during the job.

        Raises:
            NodeError: of the tree, as the function raised it.
            WorkerError: the worker died, hung, needed more memory, raised anything else, or
                the pool was stopped.
        """
        self.start()
        job = _Job(
            name=function.__name__,
            payload=pickle.dumps((function, argument)),
            time_limit_s=time_limit_s,
            memory_mb=memory_mb,
            future=Future(),
        )
        self._jobs.put(job)
        if self._stopping.is_set():
            self._refuse_waiting()
        return job.future.result()

    def stop(self) -> None:
        """Kill every process; a `run` in progress or waiting raises `WorkerError`."""
        with self._lock:
            self._stopping.set()
        for slot in self._slots:
            if slot.thread is not threading.current_thread():
                slot.thread.join()
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait().future.set_exception(_Stopped())


class _Slot:
    """One worker and the thread that starts, feeds, watches, kills and replaces it.

    One thread does all of it because a process dies with the *thread* that started it
    (PR_SET_PDEATHSIG, prctl(2)), and so that nothing about a process needs a lock.
    """

    def __init__(
        self,
        name: str,
        birth: Birth,
        jobs: queue.SimpleQueue[_Job],
        stopping: threading.Event,
    ) -> None:
        self.ready: Future[None] = Future()
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._birth = birth
        self._jobs = jobs
        self._stopping = stopping
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
        try:
            job = self._jobs.get(timeout=_IDLE_POLL_S)
        except queue.Empty:
            return
        try:
            job.future.set_result(self._carry_out(job))
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

    def _fail_next(self, error: NodeError) -> None:
        """A replacement could not load: tell one waiting job why, and pause."""
        with contextlib.suppress(queue.Empty):
            self._jobs.get(timeout=_RESPAWN_PAUSE_S).future.set_exception(error)

    def _load(self) -> None:
        """Start a process and wait for its initializer.

        Raises:
            NodeError: as the initializer raised it, or WorkerError.
        """
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

    def _carry_out(self, job: _Job) -> Any:  # noqa: ANN401 - whatever the job returns
        self._ensure()
        assert self._pipe is not None
        try:
            self._pipe.send_bytes(pickle.dumps((job.payload, job.memory_mb)))
        except OSError as error:
            raise self._death(job.name) from error
        reply = self._await(job.name, job.time_limit_s, job.memory_mb)
        # An arena that one large job left behind is not the fault of the small job after it.
        self._largest_limit_mb = max(self._largest_limit_mb, job.memory_mb)
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
                return self._receive(name)
            if not self._process.is_alive():
                raise self._death(name)
            if self._stopping.is_set():
                self._bury(kill=True)
                raise _Stopped
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
