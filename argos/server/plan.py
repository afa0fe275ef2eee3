"""What tasks the config wants, and what must change to get there. Pure.

A task is identified by URL, method, request data, check, expected value and IP version,
as in 0.10.3; all else is an attribute that can change while the history stays.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urljoin, urlsplit

from argos.core.probe import IPVersion
from argos.schemas import Config, Website, WebsitePath
from argos.server.identity import (
    Pool,
    group_key,
    probe_url,
    required_pool,
    task_group,
    task_key,
)

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class WantedWebsite:
    """A website as the config has it."""

    domain: str
    host: str
    name: str | None = None
    group_name: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WantedGroup:
    """A task group: one probe that answers all of its tasks."""

    key: bytes
    pool: Pool
    frequency: float
    """Minutes."""
    timeout_s: float


@dataclass(frozen=True, slots=True)
class TaskAttributes:
    """What of a task may change without making it another task."""

    domain: str
    frequency: float
    recheck_delay: float | None
    retry_before_notification: int
    add_alerts_recipients: str | None
    overwrite_alerts_recipients: str | None
    group_key: bytes


@dataclass(frozen=True, slots=True)
class WantedTask:
    """A task as the config wants it."""

    key: bytes
    url: str
    method: str
    request_data: str | None
    check: str
    expected: str
    ip_version: IPVersion
    task_group: str
    attributes: TaskAttributes


@dataclass(frozen=True, slots=True)
class PresentTask:
    """A task as the database has it."""

    id: int
    is_archived: bool
    attributes: TaskAttributes


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that the config wants."""

    websites: Mapping[str, WantedWebsite] = field(default_factory=dict)
    groups: Mapping[bytes, WantedGroup] = field(default_factory=dict)
    tasks: Mapping[bytes, WantedTask] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What must happen to the present tasks."""

    add: Sequence[WantedTask] = ()
    update: Sequence[tuple[int, WantedTask]] = ()
    restore: Sequence[tuple[int, WantedTask]] = ()
    """Archived tasks that the config names again; counted as added."""
    archive: Sequence[int] = ()


def wanted_tasks(config: Config) -> Wanted:
    """Expand the config: each path of a website once per IP
    version and check.

    Of identical tasks the first wins. The general settings are inherited here, and
    nowhere else.
    """
    return _Expansion(config).run()


class _Expansion:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._websites: dict[str, WantedWebsite] = {}
        self._groups: dict[bytes, WantedGroup] = {}
        self._tasks: dict[bytes, WantedTask] = {}

    def run(self) -> Wanted:
        for website in self._config.websites:
            self._websites.setdefault(website.domain, _describe(website))
            for ip_version in self._ip_versions(website):
                for path in website.paths:
                    self._add_path(website, ip_version, path)
        return Wanted(self._websites, self._groups, self._tasks)

    def _ip_versions(self, website: Website) -> Iterator[IPVersion]:
        general = self._config.general
        if general.ipv4 if website.ipv4 is None else website.ipv4:
            yield IPVersion.V4
        if general.ipv6 if website.ipv6 is None else website.ipv6:
            yield IPVersion.V6

    def _add_path(
        self, website: Website, ip_version: IPVersion, path: WebsitePath
    ) -> None:
        url = urljoin(website.domain, path.path)
        group = task_group(
            url=url,
            method=path.method,
            request_data=path.request_data,
            ip_version=ip_version,
        )
        for wanted in path.checks:
            key = task_key(
                url=url,
                method=path.method,
                request_data=path.request_data,
                check=wanted.check,
                expected=wanted.expected,
                ip_version=ip_version,
            )
            if key in self._tasks:
                continue
            group_key_ = self._add_group(website, url, path, wanted.check, ip_version)
            self._tasks[key] = WantedTask(
                key=key,
                url=url,
                method=path.method,
                request_data=path.request_data,
                check=wanted.check,
                expected=wanted.expected,
                ip_version=ip_version,
                task_group=group,
                attributes=self._attributes(website, group_key_),
            )

    def _add_group(
        self,
        website: Website,
        url: str,
        path: WebsitePath,
        check: str,
        ip_version: IPVersion,
    ) -> bytes:
        key = group_key(
            probe_url=probe_url(check, url),
            method=path.method,
            request_data=path.request_data,
            ip_version=ip_version,
        )
        pool = required_pool(check, ip_version)
        frequency = self._minutes(website.frequency or self._config.general.frequency)
        timeout = website.timeout or self._config.general.timeout
        present = self._groups.get(key)
        if present is not None:
            pool |= present.pool
            frequency = min(frequency, present.frequency)
            timeout = max(timeout, timedelta(seconds=present.timeout_s))
        self._groups[key] = WantedGroup(key, pool, frequency, timeout.total_seconds())
        return key

    def _attributes(self, website: Website, group_key_: bytes) -> TaskAttributes:
        general = self._config.general
        recheck = website.recheck_delay or general.recheck_delay
        retries = website.retry_before_notification
        return TaskAttributes(
            domain=website.domain,
            frequency=self._minutes(website.frequency or general.frequency),
            recheck_delay=self._minutes(recheck) if recheck else None,
            retry_before_notification=(
                general.retry_before_notification if retries is None else retries
            ),
            add_alerts_recipients=_recipients_text(website.add_alerts_recipients),
            overwrite_alerts_recipients=_recipients_text(
                website.overwrite_alerts_recipients
            ),
            group_key=group_key_,
        )

    @staticmethod
    def _minutes(interval: timedelta) -> float:
        # As 0.10.3 does: two decimals of a minute.
        return round(interval / _MINUTE, 2)


def _recipients_text(recipients: tuple[str, ...] | None) -> str | None:
    return None if recipients is None else json.dumps(recipients)


def known_recipients(config: Config) -> frozenset[str]:
    """The recipients that the config defines."""
    general = config.general
    known = {"local"}
    if general.mail is not None:
        known.add("mail")
    if general.gotify is not None:
        known.add("gotify")
    known.update(f"apprise:{group}" for group in general.apprise or {})
    return frozenset(known)


def host_of(domain: str) -> str:
    """The host and port of a domain, without the name and password that some carry."""
    return urlsplit(domain).netloc.rpartition("@")[2]


def _describe(website: Website) -> WantedWebsite:
    return WantedWebsite(
        domain=website.domain,
        host=host_of(website.domain),
        name=website.name,
        group_name=website.group,
        tags=tuple(website.tags or ()),
    )


def changes(
    present: Mapping[bytes, PresentTask], wanted: Mapping[bytes, WantedTask]
) -> Changes:
    """What turns the present tasks into the wanted ones; nothing when they agree."""
    add: list[WantedTask] = []
    update: list[tuple[int, WantedTask]] = []
    restore: list[tuple[int, WantedTask]] = []
    for key, task in wanted.items():
        known = present.get(key)
        if known is None:
            add.append(task)
        elif known.is_archived:
            restore.append((known.id, task))
        elif known.attributes != task.attributes:
            update.append((known.id, task))
    archive = [
        task.id
        for key, task in present.items()
        if key not in wanted and not task.is_archived
    ]
    return Changes(add, update, restore, archive)


MASS_REMOVAL_COUNT = 10
MASS_REMOVAL_SHARE = 0.2


def is_mass_removal(removed: int, present: int) -> bool:
    """Whether so many tasks would go that somebody must confirm it."""
    return removed > MASS_REMOVAL_COUNT and removed > MASS_REMOVAL_SHARE * present


def active(present: Iterable[PresentTask]) -> int:
    """How many tasks are not archived."""
    return sum(not task.is_archived for task in present)
