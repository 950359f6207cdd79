"""Decodes compressed images while the rest of their study still arrives.

Nobody waits for it while images arrive: they are handed over in a line, processes of low priority
take them from there. An analysis hands over what is still missing, so that several processes decode
it instead of its own one, and waits; what was not decoded all the same, for whatever reason, is
decoded when its volume is loaded. The
frames lie in memory that belongs to this process, are bounded, and are let go when the study
needs no more analysis.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from inference.decoding import DecodedFrame, DecodeTask, decode_images
from inference.nameless_file import NamelessFile
from inference.reading import DecodedFrames
from node.domain.errors import NodeError
from node.domain.extent import Extent
from node.domain.study import Instance
from node.ledger import Ledger
from node.ledger.states import StudyState
from node.metrics import Metrics
from node.pipeline.in_service import Workers
from node.pipeline.loop import Loop

log = structlog.get_logger(__name__)

#: Images a call: few, so that processes end together; enough that calls cost nothing.
BATCH = 8
TIME_LIMIT_S = 120.0
MEMORY_MB = 1024
INTERVAL_S = 1.0
#: States in which an analysis may still want the pixels.
_WANTED = frozenset({StudyState.RECEIVING, StudyState.COMPLETED, StudyState.ANALYSING})
#: Native, big endian and deflated: nothing to decode, or nothing gained.
_NATIVE = frozenset(f"1.2.840.10008.1.2{ending}" for ending in ("", ".1", ".2", ".1.99", ".1.98"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingSettings:
    """What is decoded ahead.

    Attributes:
        limit_bytes: of frames held at a time; 0 decodes nothing ahead.
        sop_classes: that an enabled model takes.
    """

    limit_bytes: int
    sop_classes: frozenset[str]


@dataclass(slots=True)
class _Held:
    """The frames of one study.

    `digests`: of the image that was last offered at each place. The store uses its segments again,
    so another image may come to lie where one that was taken back lay.
    """

    descriptor: int
    offsets: dict[Extent, int] = field(default_factory=dict)
    digests: dict[Extent, str] = field(default_factory=dict)
    bytes: int = 0
    waiting: int = 0

    @property
    def file(self) -> NamelessFile:
        """As other processes open it."""
        return NamelessFile.of(self.descriptor)


class Decoding:
    """The line of images and the frames made of them. Thread-safe."""

    def __init__(
        self, ledger: Ledger, decoders: Workers, settings: DecodingSettings, metrics: Metrics
    ) -> None:
        self._ledger = ledger
        self._decoders = decoders
        self._settings = settings
        self._metrics = metrics
        self._line: deque[Instance] = deque()
        self._held: dict[str, _Held] = {}
        self._changed = threading.Condition()
        self._bytes = 0
        self.loops: tuple[Loop, ...] = ()
        #: Called when there is nothing to decode.
        self.on_idle: Callable[[], None] = lambda: None

    def start(self, threads: int) -> None:
        """Begin, with one thread for each process."""
        if self._settings.limit_bytes:
            self.loops = tuple(
                Loop(f"decoding-{number}", self.step, interval_s=INTERVAL_S)
                for number in range(threads)
            )
        for loop in self.loops:
            loop.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Decode no more and let everything go."""
        for loop in self.loops:
            loop.stop(timeout_s)
        with self._changed:
            self._line.clear()
            for study_uid in tuple(self._held):
                self._let_go(study_uid)
            self._changed.notify_all()

    @property
    def held_bytes(self) -> int:
        """Memory of the frames."""
        return self._bytes

    def offer(self, instance: Instance) -> None:
        """An image came. Quick."""
        settings = self._settings
        if (
            not self.loops
            or instance.transfer_syntax_uid in _NATIVE
            or instance.sop_class_uid not in settings.sop_classes
        ):
            return
        with self._changed:
            held = self._held.get(instance.study_uid)
            if held is None:
                try:
                    held = _Held(os.memfd_create("vigie-frames", os.MFD_CLOEXEC))
                except OSError as error:
                    log.warning("decoding.no_memory", cause=error.strerror)
                    return
                self._held[instance.study_uid] = held
            if held.digests.get(instance.extent) != instance.digest:
                held.digests[instance.extent] = instance.digest
                held.offsets.pop(instance.extent, None)
            held.waiting += 1
            self._line.append(instance)
        for loop in self.loops:
            loop.wake()

    def ask(self, images: Iterable[Instance]) -> None:
        """An analysis wants these now: those that nobody offered yet are offered.

        So it is after a new start of the node, and when a study is analysed again. What was
        offered before and left (no memory for it, several frames) is not offered once more.
        """
        for instance in images:
            with self._changed:
                held = self._held.get(instance.study_uid)
                was_offered = held and held.digests.get(instance.extent) == instance.digest
            if not was_offered:
                self.offer(instance)

    def finished(self, study_uid: str, timeout_s: float, stopped: Callable[[], bool]) -> bool:
        """Wait until no image of a study waits to be decoded; False when it was not in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._waits(study_uid):
                left = deadline - time.monotonic()
                if left <= 0 or stopped():
                    return False
                self._changed.wait(min(left, 0.25))
        return True

    def frames(self, study_uid: str) -> DecodedFrames | None:
        """What was decoded of a study; None where that is nothing."""
        with self._changed:
            held = self._held.get(study_uid)
            if held is None or not held.offsets:
                return None
            return DecodedFrames(file=held.file, offsets=dict(held.offsets))

    def step(self) -> bool:
        """Decode a few images of the study that came first, or let go what nobody wants."""
        batch = self._next()
        if not batch:
            self._sweep()
            self.on_idle()
            return False
        frames: tuple[DecodedFrame, ...] = ()
        try:
            frames = self._decode(batch)
        except NodeError as error:
            # Some of them are damaged: each is decoded again when its volume is loaded.
            log.warning("decoding.failed", study_uid=batch[0].study_uid, cause=str(error))
        finally:
            self._enter(batch, frames)
        return True

    def _decode(self, batch: list[Instance]) -> tuple[DecodedFrame, ...]:
        with self._changed:
            held = self._held.get(batch[0].study_uid)
            room = self._settings.limit_bytes - self._bytes
            if held is None or room <= 0:
                return ()
            task = DecodeTask(
                file=held.file,
                room=room,
                images=tuple((item.extent, item.transfer_syntax_uid) for item in batch),
            )
        frames: tuple[DecodedFrame, ...] = self._decoders.run(
            decode_images, task, time_limit_s=TIME_LIMIT_S, memory_mb=MEMORY_MB
        )
        return frames

    def _next(self) -> list[Instance]:
        with self._changed:
            if not self._line:
                return []
            batch = [self._line.popleft()]
            while (
                self._line and len(batch) < BATCH and self._line[0].study_uid == batch[0].study_uid
            ):
                batch.append(self._line.popleft())
            return batch

    def _enter(self, batch: list[Instance], frames: tuple[DecodedFrame, ...]) -> None:
        self._metrics.decoded.labels("decoded").inc(len(frames))
        self._metrics.decoded.labels("left").inc(len(batch) - len(frames))
        with self._changed:
            held = self._held.get(batch[0].study_uid)
            if held is not None:
                held.waiting -= len(batch)
                digests = {item.extent: item.digest for item in batch}
                for frame in frames:
                    if held.digests.get(frame.extent) == digests[frame.extent]:
                        held.offsets[frame.extent] = frame.offset
                    held.bytes += frame.size
                    self._bytes += frame.size
            self._changed.notify_all()

    def _waits(self, study_uid: str) -> bool:
        held = self._held.get(study_uid)
        return held is not None and held.waiting > 0

    def _sweep(self) -> None:
        """Let go the frames of studies that need no more analysis."""
        with self._changed:
            known = [uid for uid, held in self._held.items() if not held.waiting]
        for study_uid in known:
            study = self._ledger.studies.get(study_uid)
            if study is None or study.state not in _WANTED:
                with self._changed:
                    if not self._waits(study_uid):
                        self._let_go(study_uid)

    def _let_go(self, study_uid: str) -> None:
        held = self._held.pop(study_uid, None)
        if held is not None:
            self._bytes -= held.bytes
            # A process that has it open keeps its pages until it is done.
            os.close(held.descriptor)
