"""From `alerts:` of `appliance.yaml` to running channels; the only place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from config.schema import Appliance, EmailChannel, Hl7Channel, WebhookChannel
from config.secret import SecretFile
from node.core import Core
from node.domain.acute import Severity
from node.ledger.alerts import AlertKind
from node.pipeline.alerting.dispatch import Dispatcher, Pace
from node.pipeline.alerting.judging import FindingAlerts, FindingRule
from node.pipeline.alerting.mail import Mail, MailSettings
from node.pipeline.alerting.message import Wording, compose
from node.pipeline.alerting.mllp import Mllp, MllpSettings
from node.pipeline.alerting.oru import Parties
from node.pipeline.alerting.troubles import EventRule, TroubleAlerts
from node.pipeline.alerting.webhook import Webhook, WebhookSettings
from node.pipeline.alerting.wire import Channel
from node.pipeline.loop import Loop
from node.troubles import troubles_of

AnyChannel = WebhookChannel | EmailChannel | Hl7Channel


class Alerting:
    """Every channel with its thread, and the two judges that fill the queue."""

    def __init__(self, core: Core, models_out: Callable[[], Mapping[str, str]]) -> None:
        """Wire it to the pipeline; nothing is sent before `start`.

        Args:
            models_out: models that are out of service, with the cause.
        """
        appliance, ledger = core.appliance, core.ledger
        self._ledger = ledger
        wording = wording_of(appliance)

        def objects_of(job_key: str) -> Iterator[Path]:
            return (item.path for item in ledger.outbox.objects_of_job(job_key))

        self._dispatchers = tuple(
            Dispatcher(
                channel_of(name, channel),
                pace_of(channel),
                ledger,
                lambda row: compose(row, wording, objects_of),
                core.metrics,
            )
            for name, channel in appliance.alerts.channels.items()
        )
        versions = {
            route.manifest.identity.name: route.manifest.identity.version for route in core.routes
        }
        judge = FindingAlerts(ledger, finding_rules(appliance), versions)
        core.scheduler.on_settled = judge.settled
        self._troubles = TroubleAlerts(
            ledger,
            event_rules(appliance),
            lambda: troubles_of(core, models_out, core.roster.fallen_back),
        )
        self._troubles.on_queued = self.wake

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Every thread."""
        return (*(item.loop for item in self._dispatchers), self._troubles.loop)

    def start(self) -> None:
        """Take up what was waiting when the node stopped, and begin."""
        self._ledger.alerts.withhold_unknown([item.channel.name for item in self._dispatchers])
        self._ledger.alerts.release()
        for loop in self.loops:
            loop.start()

    def wake(self) -> None:
        """Something may have been queued."""
        for item in self._dispatchers:
            item.loop.wake()

    def stop(self) -> None:
        """End after the attempt in hand."""
        for loop in self.loops:
            loop.stop()


def channel_of(name: str, channel: AnyChannel) -> Channel:
    """One channel, resolved; it connects only when it is used."""
    match channel:
        case WebhookChannel():
            return Webhook(
                WebhookSettings(
                    name=name,
                    url=channel.url,
                    secret=channel.secret.read,
                    timeout_s=channel.timeout_s,
                    ca_file=channel.ca_file,
                )
            )
        case EmailChannel():
            return Mail(
                MailSettings(
                    name=name,
                    host=channel.host,
                    port=channel.port,
                    security=channel.security,
                    sender=channel.sender,
                    recipients=channel.recipients,
                    timeout_s=channel.timeout_s,
                    username=channel.username or "",
                    password=_reader(channel.password),
                    ca_file=channel.ca_file,
                )
            )
        case Hl7Channel():
            return Mllp(
                MllpSettings(
                    name=name,
                    host=channel.host,
                    port=channel.port,
                    tls=channel.tls,
                    parties=Parties(
                        sending_application=channel.sending_application,
                        sending_facility=channel.sending_facility,
                        receiving_application=channel.receiving_application,
                        receiving_facility=channel.receiving_facility,
                    ),
                    timeout_s=channel.timeout_s,
                    ca_file=channel.ca_file,
                )
            )


def pace_of(channel: AnyChannel) -> Pace:
    """How often, and how long."""
    return Pace(
        first_s=channel.retry_first_s,
        cap_s=channel.retry_cap_s,
        give_up_s=channel.give_up_after_hours * 3600.0,
        timeout_s=channel.timeout_s,
    )


def wording_of(appliance: Appliance) -> Wording:
    """The words, with those that a rule has of its own."""
    alerts, texts = appliance.alerts, appliance.alerts.templates
    return Wording(
        node=appliance.node.name,
        label="RESEARCH, UNVERIFIED" if appliance.is_research else "UNVERIFIED",
        patient_data=alerts.patient_data,
        texts={
            AlertKind.FINDING: (texts.finding_subject, texts.finding_text),
            AlertKind.CORRECTION: (texts.correction_subject, texts.correction_text),
            AlertKind.EVENT: (texts.event_subject, texts.event_text),
            AlertKind.RECOVERY: (texts.recovery_subject, texts.recovery_text),
        },
        rules={
            name: (rule.subject or texts.finding_subject, rule.text or texts.finding_text)
            for name, rule in alerts.findings.items()
        },
    )


def finding_rules(appliance: Appliance) -> tuple[FindingRule, ...]:
    """The rules for findings."""
    return tuple(
        FindingRule(
            name=name,
            models=frozenset(rule.models),
            findings=frozenset(rule.findings),
            severity=Severity(rule.severity),
            at_least=rule.at_least,
            channels=rule.channels,
        )
        for name, rule in appliance.alerts.findings.items()
    )


def event_rules(appliance: Appliance) -> tuple[EventRule, ...]:
    """The rules for the node's own troubles."""
    return tuple(
        EventRule(name=name, events=frozenset(rule.events), channels=rule.channels)
        for name, rule in appliance.alerts.events.items()
    )


def _reader(secret: SecretFile | None) -> Callable[[], str]:
    return secret.read if secret is not None else str
