"""Channel `email`: a mail by SMTP, with STARTTLS or TLS unless the site says otherwise."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from node.pipeline.alerting.message import Message
from node.pipeline.alerting.wire import (
    UNREACHABLE,
    Outcome,
    Passing,
    Probed,
    RefusedForGood,
    Sent,
    at_most,
    in_words,
    tls_context,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """Which server, from whom to whom; `password` is read at each attempt."""

    name: str
    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    recipients: tuple[str, ...]
    timeout_s: float
    username: str = ""
    password: Callable[[], str] = str
    ca_file: Path | None = None


class Mail:
    """One mail server with one list of recipients."""

    def __init__(self, settings: MailSettings) -> None:
        self.name = settings.name
        self._settings = settings

    def send(self, message: Message) -> Outcome:
        """Send it to all recipients; it counts when the server took it for any of them."""
        settings = self._settings
        try:
            with self._session() as server:
                refused = server.send_message(
                    written(message, settings), settings.sender, list(settings.recipients)
                )
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            return _judged(max(codes), "the server refuses every recipient")
        except smtplib.SMTPAuthenticationError as error:
            code = f"SMTP {error.smtp_code}"
            return Passing(f"{code}: the server does not accept username and password", code)
        except smtplib.SMTPResponseException as error:
            return _judged(error.smtp_code, "the server does not take the mail")
        except smtplib.SMTPException as error:
            return Passing(_spoken(error), type(error).__name__)
        except UNREACHABLE as error:
            return Passing(in_words(error), type(error).__name__)
        taken = len(settings.recipients) - len(refused)
        lacking = f", {len(refused)} refused" if refused else ""
        return Sent(f"taken for {taken} recipients{lacking}", "SMTP 250")

    def probe(self) -> Probed:
        """Connect, EHLO, STARTTLS, log in, NOOP; no mail."""
        try:
            with self._session() as server:
                code, _ = server.noop()
        except smtplib.SMTPException as error:
            return Probed(_spoken(error))
        except UNREACHABLE as error:
            return Probed(in_words(error))
        security = {"starttls": "STARTTLS good", "tls": "TLS good", "none": "not encrypted"}
        login = ", logged in" if self._settings.username else ""
        return Probed("", f"{security[self._settings.security]}{login}, NOOP {code}")

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        settings = self._settings
        server = (
            smtplib.SMTP_SSL(
                settings.host,
                settings.port,
                timeout=settings.timeout_s,
                context=tls_context(settings.ca_file),
            )
            if settings.security == "tls"
            else smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
        )
        try:
            with at_most(2 * settings.timeout_s, server.sock):
                server.ehlo()
                if settings.security == "starttls":
                    server.starttls(context=tls_context(settings.ca_file))
                    server.ehlo()
                if settings.username:
                    server.login(settings.username, settings.password())
                yield server
                # Taken is taken, however the conversation ends.
                with suppress(*UNREACHABLE, smtplib.SMTPException):
                    server.quit()
        finally:
            server.close()


def written(message: Message, settings: MailSettings) -> EmailMessage:
    """RFC 5322; a correction hangs below the alert that it takes back."""
    mail = EmailMessage()
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.created_at)
    domain = settings.sender.rpartition("@")[2]
    mail["Message-ID"] = f"<{message.key}@{domain}>"
    if message.corrects:
        mail["In-Reply-To"] = mail["References"] = f"<{message.corrects}@{domain}>"
    # RFC 3834: no holiday notice may answer.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text + "\n")
    return mail


def _judged(code: int, what: str) -> Outcome:
    """RFC 5321 4.2.1: 5yz is a permanent refusal, everything else may pass."""
    shown = f"SMTP {code}"
    if 500 <= code < 600:
        return RefusedForGood(f"{shown}: {what}", shown)
    return Passing(f"{shown}: {what} now", shown)


def _spoken(error: smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "the server does not offer what 'security' or 'username' asks for"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the server hung up; check port and 'security'"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server answers SMTP {error.smtp_code}"
    return f"the server cannot be talked to ({type(error).__name__})"
