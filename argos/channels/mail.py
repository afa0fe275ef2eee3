"""Channels of the type `mail`: one mail for each address."""

import contextlib
import re
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import Any, Self

from argos.channels.base import ATTEMPT_TIMEOUT_S, Channel
from argos.channels.notice import Entry, Notice
from argos.clock import Clock, system_clock
from argos.core.text import cut, visible
from argos.errors import DeliveryError, UnknownTarget

_SHORTEST_TIMEOUT_S = 0.05
_MAX_SUBJECT_LENGTH = 250


class MailChannel(Channel):
    """Sends over SMTP; the server must have taken a mail for it to count as sent."""

    name = "mail"

    def __init__(
        self,
        settings: Any,
        addresses: tuple[str, ...],
        *,
        clock: Clock = system_clock,
        attempt_timeout_s: float = ATTEMPT_TIMEOUT_S,
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._clock = clock
        self._attempt_timeout_s = attempt_timeout_s
        self._smtp: _Connection | None = None

    @classmethod
    def open(cls, settings: Any, target: str) -> Self:
        if target and target not in settings.addresses:
            raise UnknownTarget
        return cls(settings, (target,) if target else tuple(settings.addresses))

    @classmethod
    def targets(cls, settings: Any) -> tuple[str, ...]:
        return tuple(settings.addresses)

    def send(self, notice: Notice) -> None:
        deadline = self._clock.monotonic() + self._attempt_timeout_s
        try:
            for address in self._addresses:
                self._send_to(address, notice, deadline)
        except (OSError, smtplib.SMTPException) as err:
            is_unsent = self._smtp is None or not self._smtp.is_sending
            # A connection in an unknown state is of no use for the next mail.
            self.close()
            server = f"{self._settings.host}:{self._settings.port}"
            raise _explain(err, server, is_unsent=is_unsent) from err

    def _send_to(self, address: str, notice: Notice, deadline: float) -> None:
        smtp = self._connect(deadline)
        smtp.deadline = deadline
        smtp.send_message(
            self._compose(address, notice),
            from_addr=self._settings.mailfrom,
            to_addrs=[address],
        )

    def _compose(self, address: str, notice: Notice) -> EmailMessage:
        sender = self._settings.mailfrom
        domain = sender.rpartition("@")[2]
        mail = EmailMessage()
        mail["From"] = sender
        mail["To"] = address
        mail["Subject"] = visible(cut(notice.subject, _MAX_SUBJECT_LENGTH))
        mail["Date"] = format_datetime(self._clock.utcnow())
        mail["Message-ID"] = f"<{notice.message_id}@{domain}>"
        references = [f"<{id_}@{domain}>" for id_ in notice.references]
        if references:
            # Below the problem, in what shows mails as threads.
            mail["In-Reply-To"] = references[0]
            mail["References"] = " ".join(references)
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Argos-Severity"] = notice.severity.value
        mail.set_content(notice.text if notice.own_text is None else notice.own_text)
        mail.add_alternative(mail_page(notice), subtype="html")
        return mail

    def _connect(self, deadline: float) -> "_Connection":
        if self._smtp is None:
            self._smtp = self._open_connection(deadline)
        return self._smtp

    def _open_connection(self, deadline: float) -> "_Connection":
        settings = self._settings
        smtp = _Connection(self._clock, deadline, is_tls=settings.ssl)
        try:
            smtp.connect(settings.host, settings.port)
            if settings.starttls:
                # Raises when the server does not offer it: never in the clear instead.
                smtp.starttls(context=ssl.create_default_context())
            if settings.auth is not None:
                smtp.login(
                    settings.auth.login, settings.auth.password.get_secret_value()
                )
        except (OSError, smtplib.SMTPException):
            smtp.close()
            raise
        return smtp

    def close(self) -> None:
        if self._smtp is None:
            return
        self._smtp.leave()
        self._smtp = None


class _Connection(smtplib.SMTP):
    """An SMTP connection whose every answer must come before one deadline."""

    def __init__(self, clock: Clock, deadline: float, *, is_tls: bool) -> None:
        self.deadline = deadline
        self._clock = clock
        self._is_tls = is_tls
        self.is_sending = False
        """Whether the server may have taken a mail of which we do not know."""
        super().__init__(timeout=ATTEMPT_TIMEOUT_S)

    def connect(
        self,
        host: str = "localhost",
        port: int = 0,
        source_address: Any = None,
    ) -> tuple[int, bytes]:
        # What smtplib shows the server in TLS, and checks its certificate against.
        self._host = host
        self.timeout = self._left()
        return super().connect(host, port, source_address)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        plain = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # where smtplib lets SMTP_SSL differ
        if not self._is_tls:
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.is_sending = True
        answer = super().data(msg)
        self.is_sending = False
        return answer

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            self.sock.settimeout(self._left())
        return super().getreply()

    def leave(self) -> None:
        """Say goodbye, but do not wait for an answer."""
        with contextlib.suppress(OSError, smtplib.SMTPException):
            self.putcmd("quit")
        self.close()

    def _left(self) -> float:
        left = self.deadline - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the attempt took too long")
        return max(left, _SHORTEST_TIMEOUT_S)


def _explain(
    err: OSError | smtplib.SMTPException, server: str, *, is_unsent: bool
) -> DeliveryError:
    """The error in one line, and whether trying again can help.

    A refused login or a missing STARTTLS can be mended while the notice waits.
    """
    if isinstance(err, smtplib.SMTPRecipientsRefused):
        code, answer = next(iter(err.recipients.values()))
        return _refusal(code, answer, server)
    if isinstance(err, smtplib.SMTPAuthenticationError):
        return DeliveryError(
            f"The mail server {server} refused the login: {err.smtp_code}",
            is_unsent=True,
        )
    if isinstance(err, smtplib.SMTPResponseException):
        is_of_content = isinstance(err, smtplib.SMTPDataError)
        return _refusal(
            err.smtp_code, err.smtp_error, server, is_of_content=is_of_content
        )
    reason = visible(str(err)) or type(err).__name__
    return DeliveryError(
        f"The mail server {server} failed: {reason}", is_unsent=is_unsent
    )


def _refusal(
    code: int, answer: bytes | str, server: str, *, is_of_content: bool = False
) -> DeliveryError:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    shown = visible(" ".join(text.split()))
    message = f"The mail server {server} answered {code} {shown}"
    return DeliveryError(
        message,
        permanent=500 <= code < 600,  # SMTP's codes of refusal
        is_unsent=True,
        is_of_content=is_of_content,
    )


def mail_page(notice: Notice) -> str:
    """The notice as HTML: nothing is loaded from elsewhere, and all text is escaped."""
    return (
        f'<!doctype html><html lang="{notice.language}"><head><meta charset="utf-8">'
        '<meta name="color-scheme" content="light dark"></head>'
        '<body style="font-family:sans-serif">'
        f'<h1 style="font-size:1.1em">{escape(notice.headline)}</h1>'
        + (_facts(notice) if notice.own_text is None else _own(notice, notice.own_text))
        + "</body></html>\n"
    )


def _own(notice: Notice, text: str) -> str:
    """Text of the config's own; only our links are made to be clicked."""
    links = [url for url in (notice.acknowledge_url, notice.url) if url is not None]
    parts = re.split(f"({'|'.join(map(re.escape, links))})", text) if links else [text]
    shown = "".join(
        _link(part, part) if part in links else escape(part) for part in parts
    )
    return f'<div style="white-space:pre-wrap">{shown}</div>'


def _facts(notice: Notice) -> str:
    rows = "".join(
        f'<tr><th align="left" valign="top" style="padding:2px 12px 2px 0">'
        f"{escape(label)}</th><td>{escape(value)}</td></tr>"
        for label, value in notice.lines
    )
    entries = "".join(f"<li>{_entry(entry)}</li>" for entry in notice.entries)
    links = [(notice.url, notice.see_it)]
    links.append((notice.acknowledge_url, notice.acknowledge_it))
    shown = " · ".join(_link(url, words) for url, words in links if url)
    return (
        (f'<table style="border-spacing:0">{rows}</table>' if rows else "")
        + (f'<ul style="padding:0;list-style:none">{entries}</ul>' if entries else "")
        + (f"<p>{shown}</p>" if shown else "")
    )


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    return f"{entry.icon} {text if entry.url is None else _link(entry.url, entry.text)}"


def _link(url: str, words: str) -> str:
    return f'<a href="{escape(url)}">{escape(words)}</a>'
