"""Killable worker processes that keep what they loaded.

A hung decoder, a segfault in a native library or a study that needs all the memory ends one
process, never the node. Processes are spawned, not forked: the parent holds threads, sockets
and a database.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from inference.worker_process import Birth
from inference.worker_slot import Desk, Job, Listener, Slot, Stopped
from node.domain.errors import NodeError

#: Limits of letting go of what a standing job left behind.
_DROP_LIMIT_S = 30.0
_DROP_MEMORY_MB = 256


class WorkerPool:
    """A fixed number of workers; `run` waits for a free one. All methods are thread-safe."""

    def __init__(
        self,
        size: int,
        *,
        initializer: Callable[[Any], Any] | None = None,
        argument: object = None,
        environments: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """No process starts yet.

        Args:
            size: number of processes, 1 or more.
            initializer: run once in each process before its first job, for example to load
                networks into module variables; a top-level function. Its result is ignored.
            argument: what it is called with; pickled.
            environments: variables of the processes, dealt out in turn.
        """
        if size < 1:
            raise ValueError("a pool has at least one worker")
        self.size = size
        self._birth = Birth(parent=os.getpid(), initializer=initializer, argument=argument)
        # What cannot be sent to a process is told here, not in a thread.
        pickle.dumps(self._birth)
        self._environments = tuple(environments) or ({},)
        self._desk = Desk()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._slots: list[Slot] = []
        #: Told the name of a standing job that a replaced worker could not do again, and why.
        #: Called in the thread of that worker, which must not wait for the pool.
        self.on_lost: Callable[[str, NodeError], None] = lambda _name, _error: None
        #: Told the name and the result of one that it did again; called there as well.
        self.on_again: Callable[[str, Any], None] = lambda _name, _result: None

    def start(self) -> None:
        """Start the processes; returns when every initializer has returned.

        Raises:
            NodeError: as the initializer raised it; the pool is then stopped.
            WorkerError: a process died, hung or raised something else while it loaded.
        """
        with self._lock:
            if self._stopping.is_set():
                raise Stopped
            if not self._slots:
                listener = Listener(lost=self._lost, again=self._again)
                self._slots = [
                    Slot(number, self._birth_of(number), self._desk, self._stopping, listener)
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

    def _birth_of(self, number: int) -> Birth:
        environment = self._environments[number % len(self._environments)]
        return replace(self._birth, environment=environment)

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
        job = _job(function, argument, time_limit_s, memory_mb)
        self._desk.put(job)
        if self._stopping.is_set():
            self._refuse_waiting()
        return job.future.result()

    def keep(
        self,
        name: str,
        function: Callable[[Any], Any],
        argument: object,
        *,
        time_limit_s: float,
        memory_mb: int,
    ) -> tuple[Any, ...]:
        """Call `function(argument)` in every worker, and again in each that replaces one.

        For what workers hold for a long time, such as networks. Waits until every worker has
        done it once; `drop` ends it, also after it failed.

        Args:
            name: of this standing job; one of the same name is replaced.
            function, argument, time_limit_s, memory_mb: as for `run`.

        Returns:
            What each worker returned.

        Raises:
            NodeError, WorkerError: as `run`, of the first worker that failed.
        """
        limits = (time_limit_s, memory_mb)
        return self._in_each(
            [replace(_job(function, argument, *limits), standing=name) for _ in range(self.size)]
        )

    def each(
        self,
        function: Callable[[Any], Any],
        argument: object,
        *,
        time_limit_s: float,
        memory_mb: int,
    ) -> tuple[Any, ...]:
        """Call `function(argument)` once in every worker; as `keep`, but not again."""
        limits = (time_limit_s, memory_mb)
        return self._in_each([_job(function, argument, *limits) for _ in range(self.size)])

    def _in_each(self, jobs: list[Job]) -> tuple[Any, ...]:
        self.start()
        self._put_each(jobs)
        # Every worker is waited for: the caller may drop it next, or change what it works on.
        errors = [error for job in jobs if (error := job.future.exception()) is not None]
        for error in errors:
            raise error
        return tuple(job.future.result() for job in jobs)

    def drop(self, name: str, function: Callable[[Any], Any], argument: object) -> None:
        """End a standing job, and call `function(argument)` in every worker; waits for none."""
        self.start()
        self._put_each(
            [
                replace(_job(function, argument, _DROP_LIMIT_S, _DROP_MEMORY_MB), drops=name)
                for _ in range(self.size)
            ]
        )

    def _put_each(self, jobs: list[Job]) -> None:
        for number, job in enumerate(jobs):
            self._desk.put(job, number)
        if self._stopping.is_set():
            self._refuse_waiting()

    def _lost(self, name: str, error: NodeError) -> None:
        self.on_lost(name, error)

    def _again(self, name: str, result: Any) -> None:  # noqa: ANN401 - as `run`
        self.on_again(name, result)

    def stop(self) -> None:
        """Kill every process; a `run` in progress or waiting raises `WorkerError`."""
        with self._lock:
            self._stopping.set()
        for slot in self._slots:
            if slot.thread is not threading.current_thread():
                slot.thread.join()
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        for job in self._desk.clear():
            job.future.set_exception(Stopped())


def _job(
    function: Callable[[Any], Any], argument: object, time_limit_s: float, memory_mb: int
) -> Job:
    return Job(
        name=function.__name__,
        payload=pickle.dumps((function, argument)),
        time_limit_s=time_limit_s,
        memory_mb=memory_mb,
        future=Future(),
    )
