"""The ledger as one object: all tables' worth of questions over one database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from node.ledger.alerts import Alerts
from node.ledger.announcements import Announcements
from node.ledger.database import Database
from node.ledger.discrepancies import Discrepancies
from node.ledger.documents import Documents
from node.ledger.facts import FactTable
from node.ledger.feedback import FeedbackTable
from node.ledger.findings import FindingTable
from node.ledger.instances import Instances
from node.ledger.jobs import Jobs
from node.ledger.outbox import Outbox
from node.ledger.paces import Paces
from node.ledger.peers import Peers
from node.ledger.proofs import Proofs
from node.ledger.results import Results
from node.ledger.service import Service
from node.ledger.studies import Studies
from node.ledger.troubles import Troubles

FILE_NAME = "ledger.sqlite"

_WAITS = (
    "UPDATE job SET not_before=not_before+? WHERE not_before>0",
    "UPDATE job SET lease_until=lease_until+? WHERE lease_until>0",
    "UPDATE delivery SET not_before=not_before+? WHERE not_before>0",
    "UPDATE alert SET not_before=not_before+? WHERE not_before>0",
    "UPDATE proof SET next_at=next_at+? WHERE next_at>0",
    "UPDATE proof SET until=until+? WHERE until>0",
)


class Ledger:
    """Everything the node knows, below one storage folder.

    Attributes:
        instances: stored instances. studies: studies, verdicts, events.
        facts: typed facts of each study.
        jobs: analyses. outbox: result objects and deliveries. proofs: what destinations keep.
        peers: what was learnt about destinations. alerts: who is called about what.
        troubles: what is wrong with the node itself. announcements: MPPS and availability.
        paces: how each sender sends. results: what each result rests on.
        discrepancies: what came again with other bytes. documents: structured reports that came.
        findings: what our reports state. feedback: what readers answered.
        service: the models in use.
    """

    def __init__(
        self, root: Path, *, read_only: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the ledger of a storage folder; raises LedgerError as `Database` does."""
        self.root = root
        self._database = Database(root / FILE_NAME, read_only=read_only)
        self.studies = Studies(self._database, clock)
        self.documents = Documents(self._database, self.studies, clock)
        self.instances = Instances(self._database, self.studies, self.documents, root)
        self.facts = FactTable(self._database)
        self.jobs = Jobs(self._database, self.studies, clock)
        self.outbox = Outbox(self._database, self.studies, root, clock)
        self.proofs = Proofs(self._database, self.studies, self.outbox, clock)
        self.peers = Peers(self._database, clock)
        self.alerts = Alerts(self._database, self.studies, clock)
        self.troubles = Troubles(self._database, clock)
        self.announcements = Announcements(self._database, self.studies, clock)
        self.paces = Paces(self._database)
        self.results = Results(self._database, self.studies, clock)
        self.service = Service(self._database, clock)
        self.discrepancies = Discrepancies(self._database, self.studies, clock)
        self.findings = FindingTable(self._database, clock)
        self.feedback = FeedbackTable(self._database, clock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Join several writes into one durable step."""
        with self._database.transaction():
            yield

    def shift_waits(self, seconds: float) -> None:
        """The clock was set by so much: leases and pauses keep the length that they had."""
        with self._database.transaction() as db:
            for statement in _WAITS:
                db.execute(statement, (seconds,))

    def close(self, *, checkpoint: bool = False) -> None:
        """Close the database, folding its log in first when asked."""
        if checkpoint:
            self._database.checkpoint()
        self._database.close()
