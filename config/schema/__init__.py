"""The schema of `appliance.yaml`, one file per section; defaults live here only."""

from __future__ import annotations

from config.schema.alert_channels import EmailChannel, Hl7Channel, WebhookChannel
from config.schema.alerts import Alerts, EventRule, FindingRule, Templates
from config.schema.appliance import CURRENT_VERSION, Appliance
from config.schema.completion import Completion
from config.schema.conditions import Conditions, NumberRange
from config.schema.destinations import AnyDestination, DicomDestination, DicomwebDestination
from config.schema.feedback import AssessmentCodes, Feedback
from config.schema.identity import Identity
from config.schema.logs import Logs
from config.schema.models import Model
from config.schema.needs import Need
from config.schema.receiver import Limits, Peer, Receiver
from config.schema.results import Results
from config.schema.routes import Route, When
from config.schema.schedule import Schedule
from config.schema.storage import Storage
from config.schema.web import Web
from config.schema.workers import Provider, Triton, Workers

__all__ = [
    "CURRENT_VERSION",
    "Alerts",
    "AnyDestination",
    "Appliance",
    "AssessmentCodes",
    "Completion",
    "Conditions",
    "DicomDestination",
    "DicomwebDestination",
    "EmailChannel",
    "EventRule",
    "Feedback",
    "FindingRule",
    "Hl7Channel",
    "Identity",
    "Limits",
    "Logs",
    "Model",
    "Need",
    "NumberRange",
    "Peer",
    "Provider",
    "Receiver",
    "Results",
    "Route",
    "Schedule",
    "Storage",
    "Templates",
    "Triton",
    "Web",
    "WebhookChannel",
    "When",
    "Workers",
]
