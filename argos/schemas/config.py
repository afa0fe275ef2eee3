"""The config file: its sections, their keys and defaults."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from argos.core.probe import DEFAULT_TIMEOUT
from argos.core.severity import Severity
from argos.schemas.channel import GotifySettings, Language, MailSettings, Section
from argos.schemas.channels import Channels
from argos.schemas.dependency import dependencies, dependents, read_websites
from argos.schemas.duration import Duration, OptionalDuration, Timeout
from argos.schemas.fields import (
    BaseURL,
    DatabaseURL,
    RootPath,
    Secret,
    SecretURL,
    Text,
    at_least,
)
from argos.schemas.location import Locations, Quorum, check_quorum
from argos.schemas.node import BrokenNode, ListNode, MappingNode, Node, ScalarNode
from argos.schemas.options import GeneralOptions
from argos.schemas.quiet import (
    Escalation,
    MaintenanceList,
    QuietHours,
    Routes,
    TimeZone,
    read_time_zone,
)
from argos.schemas.reader import ReadBy, SpreadOut, locate, model_reader
from argos.schemas.reading import Reading
from argos.schemas.recipient import OwnRecipients, Recipients
from argos.schemas.threshold import Thresholds
from argos.schemas.website import Website

EXAMPLE_COOKIE_SECRETS = frozenset({"foo_bar_baz", "put-a-random-text-here"})
"""They stand in example configs, and are thus no secrets."""


class Environment(StrEnum):
    """What an installation is for."""

    DEV = "dev"
    TEST = "test"
    PRODUCTION = "production"


class UnauthenticatedAccess(StrEnum):
    """What visitors may see."""

    DASHBOARD = "dashboard"
    """The counters."""
    ALL = "all"
    """Every page; nobody needs to log in."""


class Keep(StrEnum):
    """Which results have a row; all of them are counted."""

    ALL = "all"
    CHANGES = "changes"
    """Those that say something new, and one an hour."""


class DatabaseSettings(Section):
    """Where everything is stored."""

    url: DatabaseURL
    """As SQLAlchemy writes it."""
    pool_size: Annotated[int, Field(ge=0)] = 10
    """0 leaves the library's default."""
    max_overflow: Annotated[int, Field(ge=-1)] = 20
    """0 leaves the library's default; -1 sets no limit."""


class LDAPSettings(Section):
    """The directory that knows the users."""

    uri: Text
    user_tree: Text
    bind_dn: Text | None = None
    bind_pwd: Secret | None = None
    user_attr: Text
    user_filter: Text | None = None


class Alerts(Section):
    """Who hears of which severity."""

    ok: Recipients
    warning: Recipients
    critical: Recipients
    unknown: Recipients
    no_agent: Recipients
    """Who hears that no agent has been seen for a while."""
    agent_gone: OwnRecipients | None = None
    """Who hears that one agent of several is gone; None: those of `no_agent`."""
    overdue: OwnRecipients | None = None
    """Who hears that agents do not keep up; None: those of `no_agent`."""
    agent_clock: OwnRecipients | None = None
    """Who hears that an agent's clock is off; None: those of `no_agent`."""
    undelivered: OwnRecipients = ("local",)
    """Who hears that a notice to somebody else was given up."""

    @property
    def of_agent_gone(self) -> tuple[str, ...]:
        """Who hears that one agent is gone."""
        return self.no_agent if self.agent_gone is None else self.agent_gone

    @property
    def of_overdue(self) -> tuple[str, ...]:
        """Who hears that probes are overdue."""
        return self.no_agent if self.overdue is None else self.overdue

    @property
    def of_agent_clock(self) -> tuple[str, ...]:
        """Who hears that an agent's clock is off."""
        return self.no_agent if self.agent_clock is None else self.agent_clock

    @property
    def by_severity(self) -> Mapping[Severity, tuple[str, ...]]:
        """The recipients of each severity."""
        return {severity: getattr(self, severity) for severity in Severity}


class DeadMan(Section):
    """Whom to call for as long as the watching works, so that silence is an alarm."""

    url: SecretURL
    every: Duration = timedelta(minutes=1)


class General(Section):
    """What holds for the whole installation, and what websites inherit."""

    db: DatabaseSettings
    env: Environment = Environment.PRODUCTION
    cookie_secret: Secret
    session_duration: Duration = timedelta(days=7)
    remember_me_duration: OptionalDuration = None
    """None: the login page does not offer it."""
    unauthenticated_access: UnauthenticatedAccess | None = None
    ldap: LDAPSettings | None = None
    frequency: Duration
    recheck_delay: OptionalDuration = None
    retry_before_notification: Annotated[int, Field(ge=0)] = 0
    recoveries_before_notification: Annotated[int, Field(ge=0)] = 0
    """So many runs in a row that are ok again stay untold, too."""
    confirm: bool = True
    """Another agent looks before a problem is told, where there is one."""
    locations: Locations = ()
    """From each of these websites are watched; none: from anywhere."""
    quorum: Quorum | None = None
    """At so many of them a problem must be seen; None: at more than half."""
    timeout: Timeout = DEFAULT_TIMEOUT
    """The total deadline of a probe."""
    options: Annotated[GeneralOptions | None, SpreadOut()] = None
    ipv4: bool = True
    ipv6: bool = True
    root_path: RootPath = ""
    base_url: BaseURL | None = None
    """Where users reach Argos, without a slash at the end; for links in notices."""
    alerts: Alerts
    language: Language = Language.EN
    """Of notices; a channel may have another."""
    channels: Channels = Field(default_factory=dict)
    """Channels with names, which are recipients."""
    routes: Routes = ()
    """Who else hears, or who alone, of what matches."""
    time_zone: TimeZone = ZoneInfo("UTC")
    """In which local times are meant that name no zone of their own."""
    quiet_hours: QuietHours | None = None
    """When notices that are not critical wait."""
    remind_every: OptionalDuration = None
    dead_man: DeadMan | None = None
    escalation: Escalation = ()
    maintenance: MaintenanceList = ()
    mail: MailSettings | None = None
    gotify: Annotated[
        tuple[GotifySettings, ...] | None, AfterValidator(lambda found: found or None)
    ] = None
    apprise: Mapping[str, tuple[Secret, ...]] | None = None
    """Groups of Apprise URLs."""
    allow_includes_from: tuple[Path, ...] = ()
    """Folders outside the config's own from which it may include."""


class Service(Section):
    """What agents need."""

    secrets: tuple[Secret, ...]
    """Tokens that any agent may use."""


class SSL(Section):
    """How certificates are judged."""

    thresholds: Thresholds
    invalid: Severity = Severity.CRITICAL
    """The severity of an expired, mismatching or untrusted certificate."""


class Results(Section):
    """What is stored of what is measured."""

    keep: Keep = Keep.ALL


class RecurringTasks(Section):
    """The housework."""

    max_results_age: Duration
    max_hourly_age: Duration = timedelta(days=40)
    """For how long rollups tell hours apart; from then on, days."""
    max_daily_age: Duration = timedelta(days=5 * 366)
    max_lock_seconds: Annotated[int, at_least(61, otherwise=100)]
    time_without_agent: Annotated[int, at_least(1, otherwise=5)]
    """Minutes."""


def _read_general(node: Node, reading: Reading) -> General:
    if isinstance(node, MappingNode):
        reading.recipients = _known_recipients(node)
        reading.time_zone = read_time_zone(node, reading)
    general: General = model_reader(General)(node, reading)
    reading.ip_versions = general.ipv4, general.ipv6
    reading.locations = general.locations
    check_quorum(node, reading, quorum=general.quorum, locations=general.locations)
    if general.cookie_secret.get_secret_value() in EXAMPLE_COOKIE_SECRETS:
        reading.warn(
            locate(node, ("cookie_secret",)),
            "This `cookie_secret` stands in examples: everybody knows it",
        )
    return general


def _known_recipients(general: MappingNode) -> frozenset[str] | None:
    """Whom alerts can reach; None when that cannot be told."""
    known = {"local"}
    known.update(name for name in ("mail", "gotify") if _is_filled(general.get(name)))
    groups = general.get("apprise")
    channels = general.get("channels")
    if isinstance(groups, BrokenNode) or isinstance(channels, BrokenNode):
        return None
    if isinstance(groups, MappingNode):
        known.update(f"apprise:{key.value}" for key in groups.keys)
    if isinstance(channels, MappingNode):
        known.update(str(key.value) for key in channels.keys)
    return frozenset(known)


def _is_filled(node: Node | None) -> bool:
    match node:
        case None | ScalarNode(value=None):
            return False
        case ListNode(items=items):
            return bool(items)
    return True


class Config(Section):
    """Everything that the user configures."""

    general: Annotated[General, ReadBy(_read_general)]
    service: Service
    ssl: SSL
    recurring_tasks: RecurringTasks
    results: Results = Field(default_factory=Results)
    websites: Annotated[tuple[Website, ...], ReadBy(read_websites)]

    @cached_property
    def dependencies(self) -> Mapping[str, frozenset[str]]:
        """By domain: the domains of all that a website depends on."""
        return dependencies(self.websites)

    @cached_property
    def dependents(self) -> Mapping[str, frozenset[str]]:
        """By domain: the domains of all that depend on a website."""
        return dependents(self.dependencies)


_SECTIONS = list(Config.model_fields)


def build_config(node: Node, reading: Reading) -> Config:
    """The reader of whole configs; raises Refused.

    Websites come last, for they are read in the light of the general settings.
    """
    if isinstance(node, MappingNode):
        pairs = sorted(node.pairs(), key=lambda pair: _position(pair[0]))
        node = MappingNode(
            [key for key, _ in pairs], [value for _, value in pairs], node.place
        )
    config: Config = model_reader(Config)(node, reading)
    return config


def _position(key: ScalarNode) -> int:
    name = str(key.value)
    return _SECTIONS.index(name) if name in _SECTIONS else len(_SECTIONS)
