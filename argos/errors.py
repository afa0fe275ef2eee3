"""Every error that Argos raises on purpose.

ArgosError
├── ConfigError           the config file cannot be used; lists every fault
├── DurationError         a text is not a duration
├── WindowError           a text is no time, rule or time zone
├── CheckNotFound         no check has this name
├── ExpectedError         a check cannot use this expected value
├── PatternTimeout        a regular expression was given up
├── UnreadableJSON        a text is not JSON, or too large or deep for us
├── DatabaseError         the database cannot be used
│   ├── DatabaseUnreachable
│   ├── TookTooLong       a page needs more time than pages may take
│   └── WrongRevision
├── ServerError           what an agent meets when it talks to a server
│   ├── ServerUnreachable
│   ├── NotAnArgosServer
│   ├── TokenRefused
│   └── ReportRefused
├── MassRemovalRefused    the config would remove many tasks at once
├── SilenceRefused        a silence would cover too much, or the past
├── EngineError           probes cannot be made on this machine
├── DeliveryError         a channel could not send a notice
├── UnknownTarget         a channel has no such target in its settings
└── AccessError           a login, a session or a token was refused
    ├── NotAuthenticated  a session is needed, and there is none
    ├── LoginRefused      name or password is wrong, or the user is disabled
    ├── TooManyAttempts   too many logins were tried; try again later
    ├── TooBusy           too many passwords are being verified at this moment
    ├── PasswordError     a text cannot be a password
    └── ForgedRequest     a form came from elsewhere than from our own pages
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ArgosError(Exception):
    """Argos cannot go on."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in the user's config, and where."""

    file: str
    line: int
    """1-based; 0 when the fault concerns the file as a whole."""
    column: int
    """1-based; 0 when the fault concerns the file as a whole."""
    message: str

    def __str__(self) -> str:
        if not self.line:
            return f"{self.file}: {self.message}"
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigError(ArgosError):
    """The config file cannot be used."""

    def __init__(self, faults: list[Fault], warnings: Sequence[Fault] = ()) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
        self.warnings = tuple(warnings)
        """What does not forbid to use the config, but may explain the faults."""


class DurationError(ArgosError, ValueError):
    """This is not a duration; write for instance "5m", "1h30m" or "7d"."""


class WindowError(ArgosError):
    """A text is no time, rule or time zone."""


class TemplateError(ArgosError):
    """A template cannot be filled in."""


class CheckNotFound(ArgosError, LookupError):
    """There is no check of this name."""


class ExpectedError(ArgosError, ValueError):
    """This check cannot use this expected value."""


class PatternTimeout(ArgosError):
    """The regular expression was given up: it took more than a second on this text."""


class UnreadableJSON(ArgosError):
    """This is not JSON, or more of it than Argos reads."""


class DatabaseError(ArgosError):
    """The database cannot be used."""


class DatabaseUnreachable(DatabaseError):
    """The database cannot be reached."""


class TookTooLong(DatabaseError):
    """This takes the database longer than a page may take; try again, or ask for less."""


class WrongRevision(DatabaseError):
    """The database schema is not the one that this version of Argos needs."""

    exit_code = 3


class MassRemovalRefused(ArgosError):
    """The config would remove many tasks at once."""

    exit_code = 5

    def __init__(self, removed: int, present: int) -> None:
        super().__init__(
            f"The config would remove {removed} of {present} tasks; nothing was "
            "changed. If that is meant, run again with --allow-mass-removal."
        )
        self.removed = removed
        self.present = present


class ServerError(ArgosError):
    """The server cannot be used."""

    def __init__(
        self,
        message: str | None = None,
        *,
        is_unprocessed: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.is_unprocessed = is_unprocessed
        """The request surely changed nothing on the server."""
        self.retry_after_s = retry_after_s
        """How long the server wants to be left alone."""


class ServerUnreachable(ServerError):
    """The server cannot be reached."""


class NotAnArgosServer(ServerError):
    """The server's answer is not one of an Argos server."""


class TokenRefused(ServerError):
    """The server does not accept this agent's token."""

    exit_code = 4


class ReportRefused(ServerError):
    """The server refuses a report as a whole: too large, or not understood."""


class SilenceRefused(ArgosError):
    """This silence cannot be made."""


class EngineError(ArgosError):
    """Probes cannot be made on this machine."""


class DeliveryError(ArgosError):
    """The notice could not be sent."""

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        is_unsent: bool = False,
        retry_after_s: float | None = None,
        is_of_content: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        """No further attempt can help."""
        self.is_of_content = is_of_content
        """It was this message that was refused; another one may be taken."""
        self.is_unsent = is_unsent or permanent
        """It surely did not arrive, so that it may be told in another message."""
        self.retry_after_s = retry_after_s
        """How long the other side wants to be left alone."""


class UnknownRecipient(DeliveryError):
    """The config has no such recipient."""


class UnknownTarget(ArgosError, LookupError):
    """A channel has no such target in its settings."""


class AccessError(ArgosError):
    """Access was refused."""


class NotAuthenticated(AccessError):
    """You are not authenticated or your token has expired"""


class LoginRefused(AccessError):
    """Sorry, invalid username or bad password."""


class TooManyAttempts(AccessError):
    """Too many attempts to log in. Wait a few minutes, then try again."""

    def __init__(self, *, retry_after_s: int = 60) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class TooBusy(AccessError):
    """Too many people are logging in at this moment. Try again in a minute."""


class PasswordError(AccessError):
    """This cannot be a password."""


class LinkForged(AccessError):
    """This link is not as it was sent."""


class LinkExpired(AccessError):
    """This link has expired."""


class ForgedRequest(AccessError):
    """This form is out of date, or was not sent from a page of Argos."""
