"""The durable receiver alone: `python -m bench.receiver PORT DIR`, until SIGTERM."""

from __future__ import annotations

import ipaddress
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from node.ledger import Ledger
from scp.admission import Admission, Peer
from scp.contracts import Stored
from scp.indexing import Indexer
from scp.pool import SegmentSettings
from scp.receiver import Receiver, ReceiverSettings
from scp.storage import InstanceStore, Watermark


class Silence:
    """Listens to the receiver's events and says nothing."""

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        """Ignored."""

    def association_rejected(self, calling_ae_title: str, address: str, reason: str) -> None:
        """Ignored."""

    def instance_stored(self, association_id: str, stored: Stored) -> None:
        """Ignored."""

    def instance_refused(self, association_id: str, status: int, reason: str) -> None:
        """Ignored."""

    def association_closed(self, association_id: str, *, clean: bool) -> None:
        """Ignored."""


def listen(port: int, folder: Path) -> Callable[[], None]:
    """Start it with the product's settings: durable before Success, indexed behind it.

    The spare segments are ready before it listens, as they are in a node that runs for a while.
    """
    folder.mkdir(parents=True, exist_ok=True)
    here = Peer(
        name="here",
        networks=(ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")),
        ae_titles=frozenset(),
    )
    settings = ReceiverSettings(
        host="127.0.0.1",
        port=port,
        admission=Admission(
            ae_titles=frozenset(), peers=(here,), max_associations=64, max_associations_per_peer=64
        ),
        max_pdu_bytes=1 << 20,
        association_timeout_s=30,
        idle_timeout_s=120,
        max_object_bytes=1 << 40,
    )
    ledger = Ledger(folder)
    indexer = Indexer(ledger.instances)
    store = InstanceStore(
        folder,
        indexer,
        Watermark(refuse_above_percent=99.9, keep_free_bytes=0),
        segments=SegmentSettings(spare=int(os.environ.get("SPARE_SEGMENTS", "4"))),
    )
    for instance in store.scan(ledger.instances.indexed()):
        ledger.instances.record(instance)
    while store.pool.prepare():
        pass
    receiver = Receiver(settings, store, Silence())
    receiver.start()

    def stop() -> None:
        receiver.stop(1.0)
        indexer.stop()
        store.close()
        ledger.close()

    return stop


def main() -> int:
    """Listen until asked to stop."""
    end = listen(int(sys.argv[1]), Path(sys.argv[2]))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()
    end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
