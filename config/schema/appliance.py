"""The whole of `appliance.yaml`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from config.fields import EntryName
from config.schema.alerts import Alerts
from config.schema.base import Section
from config.schema.completion import Completion
from config.schema.destinations import AnyDestination, DicomDestination
from config.schema.feedback import Feedback
from config.schema.identity import Identity
from config.schema.logs import Logs
from config.schema.models import Model
from config.schema.receiver import Receiver
from config.schema.results import Results
from config.schema.routes import Route
from config.schema.signatures import Signatures
from config.schema.storage import Storage
from config.schema.web import Web
from config.schema.workers import Workers

#: Version of the file's layout; `config/migrations.py` brings older files here.
CURRENT_VERSION = 1


class Appliance(Section):
    """One node. Paths are absolute once it is loaded."""

    version: int = Field(
        title="Version of this file's layout",
        description="Tells a newer Vigie how to read an older file.",
        ge=CURRENT_VERSION,
        le=CURRENT_VERSION,
        examples=[CURRENT_VERSION],
    )
    node: Identity = Field(
        default_factory=Identity, title="This node", description="Who it is, who answers for it."
    )
    receiver: Receiver = Field(
        title="Receiver",
        description="Who may send studies, and where to.",
        examples=["{peers: {ct1: {addresses: [192.168.10.20], ae_titles: [CT1]}}}"],
    )
    storage: Storage = Field(
        title="Storage",
        description="Where images and results lie, and for how long.",
        examples=["{path: ./var}"],
    )
    completion: Completion = Field(
        default_factory=Completion,
        title="Completion",
        description="When a study counts as complete.",
    )
    models: Mapping[str, Model] = Field(
        default_factory=dict, title="Models", description="Installed packages in use, by name."
    )
    signatures: Signatures = Field(
        default_factory=Signatures,
        title="Signatures",
        description="Whose model packages may run here.",
    )
    destinations: Mapping[EntryName, AnyDestination] = Field(
        default_factory=dict, title="Destinations", description="Where results go, by name."
    )
    routes: Mapping[EntryName, Route] = Field(
        default_factory=dict,
        title="Routes",
        description="Which studies which models look at, and where the results go, by name.",
    )
    alerts: Alerts = Field(
        default_factory=Alerts, title="Alerts", description="Whom to call, about what."
    )
    feedback: Feedback = Field(
        default_factory=Feedback, title="Feedback", description="What readers send back."
    )
    results: Results = Field(
        default_factory=Results, title="Results", description="How result objects look."
    )
    workers: Workers = Field(
        default_factory=Workers, title="Workers", description="The processes that run networks."
    )
    http: Web = Field(
        default_factory=Web, title="HTTP", description="Port for health, metrics, API."
    )
    logging: Logs = Field(
        default_factory=Logs, title="Logging", description="What is written about the work."
    )

    @property
    def called_ae_titles(self) -> tuple[str, ...]:
        """AE titles this node answers to."""
        return self.receiver.ae_titles or (self.node.ae_title,)

    def calling_ae_title(self, destination: str) -> str:
        """AE title this node shows to a DICOM destination."""
        entry = self.destinations[destination]
        own = entry.calling_ae_title if isinstance(entry, DicomDestination) else None
        return own or self.node.ae_title

    @property
    def is_research(self) -> bool:
        """True while every result must be marked RESEARCH."""
        return self.node.label == "research"
