"""What tasks the config wants. Pure.

A task is identified by URL, method, request data, check, expected value and IP version,
as in 0.10.3; all else is an attribute that can change while the history stays.

The fields of the records are named as the columns that hold them: a new attribute is
a field here and a column there, and nothing between.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, TypedDict
from urllib.parse import urljoin, urlsplit

from argos.core.probe import IPVersion
from argos.core.quorum import majority
from argos.schemas import Config, Website, WebsitePath
from argos.schemas.options import options_document
from argos.server.identity import (
    TaskKeys,
    check_options,
    group_key,
    probe_url,
    required_pool,
    task_group,
    task_key_apart,
    task_key_at,
)

_MINUTE = timedelta(minutes=1)


class WantedWebsite(NamedTuple):
    """A website as the config has it."""

    domain: str
    host: str
    name: str | None = None
    group_name: str | None = None
    tags: tuple[str, ...] = ()


class WantedGroup(NamedTuple):
    """A task group: one probe that answers all of its tasks."""

    key: bytes
    pool: int
    """Which agents may lease it: `Pool`, with the location's number."""
    frequency: float
    """Minutes."""
    timeout_s: float
    options: str | None = None
    """How the probe differs from the usual one, as JSON; with secrets."""
    location: str | None = None
    """Only agents there may make it; None: any."""


class TaskAttributes(NamedTuple):
    """What of a task may change without making it another task."""

    domain: str
    frequency: float
    recheck_delay: float | None
    retry_before_notification: int
    recoveries_before_notification: int
    confirm: bool
    add_alerts_recipients: str | None
    overwrite_alerts_recipients: str | None
    location: str | None
    quorum: int | None
    """At so many locations a problem must be seen; None: no locations are named."""
    watch_key: bytes | None
    """The same for a check's tasks at all of its locations."""
    group_key: bytes


class WantedTask(NamedTuple):
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
class Wanted:
    """All that the config wants."""

    websites: Mapping[str, WantedWebsite] = field(default_factory=dict)
    groups: Mapping[bytes, WantedGroup] = field(default_factory=dict)
    tasks: Mapping[bytes, WantedTask] = field(default_factory=dict)


def wanted_tasks(config: Config) -> Wanted:
    """All that the config wants, at once."""
    expansion = Expansion(config)
    tasks = {task.key: task for task in expansion.tasks()}
    return Wanted(expansion.websites, expansion.groups, tasks)


class _Request(TypedDict):
    method: str
    request_data: str | None
    ip_version: IPVersion


class Expansion:
    """Expands a config: each path of a website once per IP version and check.

    Of identical tasks the first wins. The general settings are inherited here, and
    nowhere else. A million tasks come one by one and are not kept; the websites and
    the task groups are complete when the tasks have all been seen.
    """

    def __init__(self, config: Config) -> None:
        self.websites: dict[str, WantedWebsite] = {}
        self.groups: dict[bytes, WantedGroup] = {}
        self._config = config
        self._seen: set[bytes] = set()
        self._options: dict[bytes, str] = {}
        """Of the task groups that have some."""
        self._group_keys: dict[bytes, bytes] = {}
        """Those of tasks whose groups have options, by the tasks' keys."""

    def tasks(self) -> Iterator[WantedTask]:
        """The tasks, in the order of the config."""
        for website in self._config.websites:
            self.websites.setdefault(website.domain, _describe(website))
            attributes = self._attributes(website)
            timeout = website.timeout or self._config.general.timeout
            timeout_s = timeout.total_seconds()
            for ip_version in self._ip_versions(website):
                for path in website.paths:
                    options = options_document(
                        self._config.general.options, website.options, path.options
                    )
                    for own in self._at_locations(website, attributes):
                        for task in self._path_tasks(path, ip_version, own, options):
                            self._add_to_group(task, timeout_s)
                            yield task

    def _at_locations(
        self, website: Website, attributes: TaskAttributes
    ) -> Iterator[TaskAttributes]:
        general = self._config.general
        locations = general.locations
        if website.locations is not None:
            locations = website.locations
        if not locations:
            yield attributes
        quorum = website.quorum or general.quorum or majority(len(locations))
        for location in locations:
            yield attributes._replace(
                location=location, quorum=min(quorum, len(locations))
            )

    def _ip_versions(self, website: Website) -> Iterator[IPVersion]:
        general = self._config.general
        if general.ipv4 if website.ipv4 is None else website.ipv4:
            yield IPVersion.V4
        if general.ipv6 if website.ipv6 is None else website.ipv6:
            yield IPVersion.V6

    def _path_tasks(
        self,
        path: WebsitePath,
        ip_version: IPVersion,
        attributes: TaskAttributes,
        options: Mapping[str, Any] | None,
    ) -> Iterator[WantedTask]:
        url = urljoin(attributes.domain, path.path)
        request: _Request = {
            "method": path.method,
            "request_data": path.request_data,
            "ip_version": ip_version,
        }
        keys = TaskKeys(url, **request)
        group = task_group(url=url, **request)
        by_probe: dict[Any, TaskAttributes] = {}
        for check, expected in ((each.check, each.expected) for each in path.checks):
            probe = probed, own = probe_url(check, url), check_options(check, options)
            if probe not in by_probe:
                by_probe[probe] = attributes._replace(
                    group_key=self._group_key(probed, request, own, attributes.location)
                )
            key = keys.of(check, expected)
            of_task = by_probe[probe]
            if attributes.location is not None:
                anywhere = group_key(probe_url=probed, options=own, **request)
                of_task = of_task._replace(watch_key=task_key_apart(key, anywhere))
                key = task_key_at(key, attributes.location)
            free = self._free_key(key, of_task.group_key)
            if free is None:
                continue
            yield WantedTask(
                free, url, path.method, path.request_data, check, expected,
                ip_version, group, of_task,
            )  # fmt: skip

    def _group_key(
        self,
        probed: str,
        request: _Request,
        options: str | None,
        location: str | None,
    ) -> bytes:
        key = group_key(probe_url=probed, options=options, location=location, **request)
        if options is not None:
            self._options[key] = options
        return key

    def _free_key(self, key: bytes, group: bytes) -> bytes | None:
        """The key for a task; None when the config has that task already.

        Options are no part of it, so that a new password or one more redirect leaves
        the history where it is; only a second task that differs in nothing else from
        the first is kept apart by them.
        """
        own = group if group in self._options else None
        if key in self._seen:
            if own == self._group_keys.get(key):
                return None
            key = task_key_apart(key, group)
            if key in self._seen:
                return None
        self._seen.add(key)
        if own is not None:
            self._group_keys[key] = own
        return key

    def _add_to_group(self, task: WantedTask, timeout_s: float) -> None:
        """Let a group run as often, and take as long, as the most demanding task."""
        key, frequency = task.attributes.group_key, task.attributes.frequency
        options = self._options.get(key)
        location = task.attributes.location
        pool = required_pool(task.check, task.ip_version, options, location)
        present = self.groups.get(key)
        if present is None:
            self.groups[key] = WantedGroup(
                key, pool, frequency, timeout_s, options, location
            )
            return
        if (
            present.pool | pool == present.pool
            and present.frequency <= frequency
            and present.timeout_s >= timeout_s
        ):
            return
        self.groups[key] = WantedGroup(
            key,
            present.pool | pool,
            min(frequency, present.frequency),
            max(timeout_s, present.timeout_s),
            options,
            location,
        )

    def _attributes(self, website: Website) -> TaskAttributes:
        """What the website's tasks have in common, without their task groups."""
        general = self._config.general
        recheck = website.recheck_delay or general.recheck_delay
        retries = website.retry_before_notification
        recoveries = website.recoveries_before_notification
        return TaskAttributes(
            domain=website.domain,
            frequency=self._minutes(website.frequency or general.frequency),
            recheck_delay=self._minutes(recheck) if recheck else None,
            retry_before_notification=(
                general.retry_before_notification if retries is None else retries
            ),
            recoveries_before_notification=(
                general.recoveries_before_notification
                if recoveries is None
                else recoveries
            ),
            confirm=general.confirm if website.confirm is None else website.confirm,
            add_alerts_recipients=_recipients_text(website.add_alerts_recipients),
            overwrite_alerts_recipients=_recipients_text(
                website.overwrite_alerts_recipients
            ),
            location=None,
            quorum=None,
            watch_key=None,
            group_key=b"",
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


MASS_REMOVAL_COUNT = 10
MASS_REMOVAL_SHARE = 0.2


def is_mass_removal(removed: int, present: int) -> bool:
    """Whether so many tasks would go that somebody must confirm it."""
    return removed > MASS_REMOVAL_COUNT and removed > MASS_REMOVAL_SHARE * present
