"""The durable receiver alone: `python -m bench.receiver PORT DIR`, until SIGTERM."""

from __future__ import annotations

import ipaddress
import signal
import sys
import threading
from pathlib import Path

from node.ledger import Ledger
from scp.admission import Admission, Peer
from scp.contracts import Stored
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


def listen(port: int, folder: Path) -> tuple[Receiver, Ledger]:
    """Start it; files and index are durable before Success, as in the product."""
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
        max_pdu_bytes=131072,
        association_timeout_s=30,
        idle_timeout_s=120,
        max_object_bytes=1 << 40,
    )
    ledger = Ledger(folder)
    watermark = Watermark(refuse_above_percent=99.9, keep_free_bytes=0)
    receiver = Receiver(settings, InstanceStore(folder, ledger.instances, watermark), Silence())
    receiver.start()
    return receiver, ledger


def main() -> int:
    """Listen until asked to stop."""
    receiver, ledger = listen(int(sys.argv[1]), Path(sys.argv[2]))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()
    receiver.stop(1.0)
    ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
