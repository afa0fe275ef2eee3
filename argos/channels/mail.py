"""The recipient `mail`: one mail for each address of `general.mail`."""

import contextlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Self

from argos.channels.base import (
    ATTEMPT_TIMEOUT_S,
    Channel,
    Notice,
    unknown_recipient,
)
from argos.clock import Clock, system_clock
from argos.errors import DeliveryError

_SHORTEST_TIMEOUT_S = 0.05


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
    def open(cls, general: Any, target: str) -> Self:
        settings = general.mail
        if settings is None or (target and target not in settings.addresses):
            raise unknown_recipient(f"mail:{target}" if target else "mail")
        return cls(settings, (target,) if target else tuple(settings.addresses))

    @classmethod
    def targets(cls, general: Any, target: str) -> tuple[str, ...]:
        if target or general.mail is None:
            return (target,)
        return tuple(general.mail.addresses)

    def send(self, notice: Notice) -> None:
        deadline = self._clock.monotonic() + self._attempt_timeout_s
        try:
            for address in self._addresses:
                self._send_to(address, notice, deadline)
        except (OSError, smtplib.SMTPException) as err:
            # A connection in an unknown state is of no use for the next mail.
            self.close()
            raise _explain(err, f"{self._settings.host}:{self._settings.port}") from err

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
        mail = EmailMessage()
        mail["From"] = sender
        mail["To"] = address
        mail["Subject"] = notice.subject
        mail["Date"] = format_datetime(self._clock.utcnow())
        mail["Message-ID"] = f"<{notice.message_id}@{sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Argos-Severity"] = notice.severity.value
        mail.set_content(notice.text)
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


def _explain(err: OSError | smtplib.SMTPException, server: str) -> DeliveryError:
    """The error in one line, and whether trying again can help.

    A refused login or a missing STARTTLS can be mended while the notice waits.
    """
    if isinstance(err, smtplib.SMTPRecipientsRefused):
        code, answer = next(iter(err.recipients.values()))
        return _refusal(code, answer, server)
    if isinstance(err, smtplib.SMTPAuthenticationError):
        return DeliveryError(
            f"The mail server {server} refused the login: {err.smtp_code}"
        )
    if isinstance(err, smtplib.SMTPResponseException):
        return _refusal(err.smtp_code, err.smtp_error, server)
    reason = str(err) or type(err).__name__
    return DeliveryError(f"The mail server {server} failed: {reason}")


def _refusal(code: int, answer: bytes | str, server: str) -> DeliveryError:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    message = f"The mail server {server} answered {code} {' '.join(text.split())}"
    return DeliveryError(message, permanent=500 <= code < 600)
