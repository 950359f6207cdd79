"""One process that owns the networks of a device, for the workers that hand it their windows.

Windows of the same network that wait at the same time, of one study or of several, share a call up
to the batch of the network. Weights are in the memory of the device once, not once a worker.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.backends.base import Tensor
from inference.engine import LoadedNetwork
from inference.hand_over import Arrays, Side
from inference.providers import Choice
from inference.worker_process import tell_waited
from models.manifest import NetworkSpec
from node.domain.errors import ModelError, NodeError, WorkerError

#: How long a call with room for more windows waits for those of other workers.
LINGER_S = 0.002
#: How often a call under way is looked at.
_WATCH_S = 1.0
#: Exit status of a process whose call hung.
HUNG = 70
#: How long a worker waits for the process to come back, and between two attempts.
RETURN_S = 60.0
_RETRY_S = 0.2
#: Of one set of windows that the process was lost with, without being its fault.
_ATTEMPTS = 3

#: (model, network) -> the network; raises NodeError when it is not held.
Find = Callable[[str, str], LoadedNetwork]


@dataclass(slots=True)
class _Request:
    """Windows of one worker that wait for their call."""

    model: str
    network: LoadedNetwork
    feeds: dict[str, NDArray[Any]]
    wanted: tuple[str, ...]
    done: threading.Event = field(default_factory=threading.Event)
    outputs: dict[str, NDArray[Any]] | None = None
    error: Exception | None = None

    @property
    def number(self) -> int:
        return len(next(iter(self.feeds.values())))

    def shares(self, other: _Request) -> bool:
        """May both be in one call?"""
        shapes = {name: array.shape[1:] for name, array in self.feeds.items()}
        others = {name: array.shape[1:] for name, array in other.feeds.items()}
        return self.network is other.network and self.wanted == other.wanted and shapes == others


class Calls:
    """The calls of a device, one after the other, in a thread.

    Attributes:
        made: calls so far. windows: windows in them. shared: calls with windows of several.
    """

    def __init__(self, now: Path, *, linger_s: float = LINGER_S) -> None:
        """`now`: file that names the models of the call under way, for who survives this process.

        Whoever lost a call to the end of the process reads there whether it was its own.
        """
        self._now = os.open(now, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.made = self.windows = self.shared = 0
        self._linger_s = linger_s
        self._changed = threading.Condition()
        self._waiting: deque[_Request] = deque()
        self._workers = 0
        self._since: float | None = None
        threading.Thread(target=self._run, name="calls", daemon=True).start()

    def joined(self, change: int) -> None:
        """A worker came or went; alone, nobody lingers for others."""
        with self._changed:
            self._workers += change

    def lasting_s(self) -> float:
        """How long the call under way lasts already; 0.0 when there is none."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def make(
        self,
        model: str,
        network: LoadedNetwork,
        feeds: dict[str, NDArray[Any]],
        wanted: Sequence[str],
    ) -> dict[str, NDArray[Any]]:
        """Wait for the call that holds these windows; raises what it raised."""
        request = _Request(model, network, feeds, tuple(wanted))
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()
        request.done.wait()
        if request.error is not None:
            raise request.error
        assert request.outputs is not None
        return request.outputs

    def _run(self) -> None:
        while True:
            together = self._together()
            self._tell_now(request.model for request in together)
            self._since = time.monotonic()
            try:
                self._carry_out(together)
            finally:
                self._since = None
                self._tell_now(())
            for request in together:
                request.done.set()

    def _tell_now(self, models: Iterable[str]) -> None:
        os.ftruncate(self._now, 0)
        os.pwrite(self._now, "\n".join(models).encode(), 0)

    def _together(self) -> list[_Request]:
        """The oldest request, and those that fit into its call."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting))
            first = self._waiting[0]
            room = first.network.batch - first.number
            if room > 0 and self._workers > 1 and len(self._waiting) == 1:
                self._changed.wait_for(lambda: len(self._waiting) > 1, self._linger_s)
            self._waiting.popleft()
            chosen = [first]
            for request in list(self._waiting):
                if request.shares(first) and request.number <= room:
                    room -= request.number
                    chosen.append(request)
                    self._waiting.remove(request)
            return chosen

    def _carry_out(self, requests: list[_Request]) -> None:
        self.made += 1
        self.windows += sum(request.number for request in requests)
        self.shared += len(requests) > 1
        first = requests[0]
        try:
            names = first.feeds.keys()
            feeds = first.feeds
            if len(requests) > 1:
                feeds = {
                    name: np.concatenate([request.feeds[name] for request in requests])
                    for name in names
                }
            outputs = first.network.run_some(feeds, first.wanted)
        except Exception as error:
            if len(requests) == 1:
                first.error = error
                return
            # Windows without numbers, or too many of them, are the fault of one study only.
            for request in requests:
                self._carry_out([request])
            return
        at = 0
        for request in requests:
            till = at + request.number
            request.outputs = {name: array[at:till] for name, array in outputs.items()}
            at = till


class DeviceServer:
    """Answers the workers at a socket of this computer."""

    def __init__(self, address: Path, find: Find, *, limit_s: float) -> None:
        """`limit_s`: a call that lasts longer hangs, and ends the process."""
        self.calls = Calls(now_of(address))
        self._find = find
        self._limit_s = limit_s
        address.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(address))
        address.chmod(0o600)
        self._listener.listen(64)

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._accept, name="device", daemon=True).start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(_WATCH_S)
            if self.calls.lasting_s() > self._limit_s:
                # A call in a native library cannot be interrupted otherwise.
                os._exit(HUNG)

    def _serve(self, connection: socket.socket) -> None:
        side = Side(connection)
        self.calls.joined(1)
        try:
            while True:
                message, arrays = side.receive()
                answer, outputs = self._answer(message, arrays)
                side.send(answer, outputs)
        except (EOFError, OSError, ValueError, KeyError, TypeError):
            # The worker is gone, or was never one.
            return
        finally:
            self.calls.joined(-1)
            side.close()

    def _answer(
        self, message: dict[str, Any], arrays: dict[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        try:
            network = self._find(message["model"], message["network"])
            if "wanted" not in message:
                return network.described(), {}
            outputs = self.calls.make(message["model"], network, arrays, message["wanted"])
            return {}, outputs
        except MemoryError as error:
            return {"kind": "memory", "text": str(error)}, {}
        except ModelError as error:
            return {"kind": "model", "text": str(error)}, {}
        except NodeError as error:
            # It is not held yet, or its own server is away.
            return {"kind": "wait", "text": str(error)}, {}
        except Exception as error:
            return {"kind": "worker", "text": f"the device failed ({type(error).__name__})"}, {}


def now_of(address: Path) -> Path:
    """The file that names the models of the call under way."""
    return address.with_name(f"{address.name}.now")


def remote_network(
    address: Path, model: str, spec: NetworkSpec, *, return_s: float = RETURN_S
) -> LoadedNetwork:
    """A network that the process of the device holds, as if it were held here.

    Args:
        return_s: how long to wait for a process that is being replaced, or loads the model.

    Raises:
        WorkerError: nobody answers, or the model is not held there.
    """
    session = RemoteSession(address, model, spec.name, return_s=return_s)
    told = session.described
    choice = Choice(word=told["word"], name=told["name"], precision=told["precision"])
    return LoadedNetwork(spec, session, choice, {})


class RemoteSession:
    """`inference.backends.base.Session` over a network that the device process holds."""

    def __init__(
        self, address: Path, model: str, network: str, *, return_s: float = RETURN_S
    ) -> None:
        """Raises WorkerError when nobody answers, ModelError as the device does."""
        self._address = address
        self._return_s = return_s
        self._about = {"model": model, "network": network}
        self._side: Side | None = None
        self._lock = threading.Lock()
        self.described, _ = self._ask({}, {})
        self.provider = str(self.described["provider"])
        # Its tensors were compared with the manifest where it was opened.
        self.inputs: tuple[Tensor, ...] = ()
        self.outputs: tuple[Tensor, ...] = ()

    def run(
        self,
        feeds: Arrays,
        wanted: Sequence[str],
    ) -> tuple[NDArray[Any], ...]:
        """One call; the arrays are copies, since the next answer is written over them."""
        _, outputs = self._ask({"wanted": list(wanted)}, feeds)
        return tuple(outputs[name] for name in wanted)

    def _ask(
        self, message: dict[str, Any], arrays: Arrays
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The answer, waited for while the process is replaced by another."""
        whole = {**self._about, **message}
        lost = 0
        since = time.monotonic()
        deadline = since + self._return_s
        while True:
            try:
                with self._lock:
                    answer, outputs = self._asked(whole, arrays)
            except (EOFError, OSError) as error:
                lost += not isinstance(error, ConnectionRefusedError | FileNotFoundError)
                if self._was_ours() or lost >= _ATTEMPTS or time.monotonic() > deadline:
                    raise WorkerError(
                        "the process that runs the networks ended while it ran "
                        f"{self._about['model']}"
                    ) from error
            else:
                if answer.get("kind") != "wait":
                    return self._told(answer), outputs
                if time.monotonic() > deadline:
                    raise WorkerError(str(answer["text"]))
            time.sleep(_RETRY_S)
            # That another model ended the process, and that it loads, is not the fault of this job.
            now = time.monotonic()
            tell_waited(now - since)
            since = now

    def _asked(
        self, message: dict[str, Any], arrays: Arrays
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        try:
            if self._side is None:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(str(self._address))
                self._side = Side(connection)
            self._side.send(message, arrays)
            answer, outputs = self._side.receive()
        except (EOFError, OSError):
            self._side = None
            raise
        # The next answer is written over these.
        return answer, {name: array.copy() for name, array in outputs.items()}

    def _was_ours(self) -> bool:
        """Was a call of this model under way when the process ended?"""
        try:
            models = now_of(self._address).read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return self._about["model"] in models

    def _told(self, answer: dict[str, Any]) -> dict[str, Any]:
        kind, text = answer.get("kind"), str(answer.get("text", ""))
        if kind == "memory":
            raise MemoryError(text)
        if kind == "model":
            # The network is named again by who asked.
            raise ModelError(text.removeprefix(f"network {self._about['network']} "))
        if kind == "worker":
            raise WorkerError(text)
        return answer
