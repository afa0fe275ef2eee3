"""What incidents may have in common, so that one of them can speak for the others.

An incident that could have begun with another one, and shares a trait with it, is
gathered under it: the same website, address, certificate, or a website it depends on.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

SLACK = timedelta(seconds=60)
"""How far apart two websites may notice the same trouble, besides their periods."""
WEAK_COUNT = 5
"""So many incidents must share a weak trait before it counts as a cause."""
LONGEST_HOLD = timedelta(minutes=5)
HOLD_MARGIN = timedelta(seconds=10)
_SERVER_ERROR = 500
_PORTS = {"http": 80, "https": 443}


class Cause(StrEnum):
    """What an incident has in common with the one that it is gathered under."""

    WEBSITE = "website"
    """It is of the same website."""
    DEPENDENCY = "dependency"
    """The config says that its website depends on that one."""
    CERTIFICATE = "certificate"
    ADDRESS = "address"
    """The same address and port, and the same kind of failure."""
    AGENT = "agent"
    """Many failures of one kind, seen by one agent at about the same time."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of an incident when it begins."""

    website: str | None = None
    """Its domain."""
    certificate: str | None = None
    address: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Common:
    """A cause by its name, as people are told of it."""

    cause: Cause
    name: str | None = None
    """Which website, certificate, address or agent it is; None: it is not known."""
    failure: str | None = None
    """The kind of failure that all have."""


_ADDRESS = re.compile(r"(\S+) \d+ (.+)", re.DOTALL)
_AGENT = re.compile(r"(.+?) (status \d+|\S+)", re.DOTALL)


def common_of(cause: Cause, traits: Traits) -> Common:
    """Name what incidents have in common, by the traits of any of them.

    Only `traits.website` has to be that of the one which speaks for the others.
    """
    if cause is Cause.CERTIFICATE:
        return Common(cause, traits.certificate)
    if cause is Cause.ADDRESS:
        found = _ADDRESS.fullmatch(traits.address or "")
    elif cause is Cause.AGENT:
        found = _AGENT.fullmatch(traits.agent or "")
    else:
        return Common(cause, traits.website)
    return Common(cause, found[1], found[2]) if found else Common(cause)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An incident that begins."""

    traits: Traits
    began_at: datetime
    period: timedelta
    """Between two runs: it may have begun so much earlier."""
    depends_on: frozenset[str] = frozenset()
    """The domains of websites, all that are on the way included."""

    @property
    def earliest(self) -> datetime:
        """From when on another incident may have begun together with it."""
        return self.began_at - self.period - SLACK


@dataclass(frozen=True, slots=True)
class Leader:
    """An incident that speaks for others, by its own traits or by those of one of them."""

    id: int
    traits: Traits
    began_at: datetime
    cause: Cause | None = None
    """Why the one whose traits these are is gathered under it; None: they are its own."""

    @property
    def is_itself(self) -> bool:
        """Whether the traits are its own."""
        return self.cause is None


def traits_of(
    facts: Mapping[str, Any], *, url: str, website: str, agent: str | None
) -> Traits:
    """What a result's facts tell of a possible cause."""
    failure = _failure(facts)
    address = facts.get("address")
    expires_at = facts.get("expires_at")
    return Traits(
        website=website,
        certificate=expires_at if isinstance(expires_at, str) else None,
        address=f"{address} {_port(url)} {failure}"
        if failure and isinstance(address, str)
        else None,
        agent=f"{agent} {failure}" if failure and agent else None,
    )


def _failure(facts: Mapping[str, Any]) -> str | None:
    """The kind of a failure that says something of the server; None: of the page."""
    kind = facts.get("error_type")
    if isinstance(kind, str) and facts.get("error_message"):
        return kind
    status = facts.get("retrieved")
    if type(status) is int and status >= _SERVER_ERROR:
        return f"status {status}"
    return None


def _port(url: str) -> int:
    try:
        parts = urlsplit(url)
        return parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return 0


class Leaders:
    """Leaders by what they are known by, so that a storm of them is not looked through."""

    def __init__(self, leaders: Iterable[Leader] = ()) -> None:
        self._sharing: dict[tuple[str, str], list[Leader]] = defaultdict(list)
        for leader in leaders:
            self.add(leader)

    def add(self, leader: Leader) -> None:
        """Know one more of them."""
        # By the traits of what it speaks for it is only known as the same website.
        names = _TRAITS if leader.is_itself else _TRAITS[:1]
        for name in names:
            value = getattr(leader.traits, name)
            if value is not None:
                self._sharing[name, value].append(leader)

    def sharing(
        self, trait: str, value: str | None, *, since: datetime | None = None
    ) -> list[Leader]:
        """Those with this trait, which began after a moment; what is unknown, none has."""
        found = self._sharing.get((trait, value), ()) if value is not None else ()
        return [leader for leader in found if since is None or leader.began_at >= since]


_TRAITS = ("website", "certificate", "address", "agent")


def find_leader(new: Newcomer, leaders: Leaders) -> tuple[Leader, Cause] | None:
    """The incident under which a new one is gathered, if any: the oldest that fits.

    Where the website's incident, or that of what it depends on, is gathered itself, the
    new one is a part of the same matter, and has its cause.
    """
    for cause, found in _fitting(new, leaders):
        if found:
            leader = min(found, key=_nearness)
            return leader, leader.cause or cause
    return None


def _fitting(
    new: Newcomer, leaders: Leaders
) -> Iterator[tuple[Cause, Sequence[Leader]]]:
    """By cause, the surest one first, those that a new incident could be under."""
    own, since = new.traits, new.earliest
    yield (
        Cause.DEPENDENCY,
        [_ for name in new.depends_on for _ in leaders.sharing("website", name)],
    )
    yield Cause.WEBSITE, leaders.sharing("website", own.website, since=since)
    yield (
        Cause.CERTIFICATE,
        leaders.sharing("certificate", own.certificate, since=since),
    )
    yield Cause.ADDRESS, leaders.sharing("address", own.address, since=since)
    weak = leaders.sharing("agent", own.agent, since=since)
    if len(weak) >= WEAK_COUNT:
        yield Cause.AGENT, weak


def _nearness(leader: Leader) -> tuple[bool, datetime, int]:
    return (not leader.is_itself, leader.began_at, leader.id)


def hold_interval(period: timedelta) -> timedelta:
    """How long those that are gathered are waited for, so that one message has all."""
    return min(period, LONGEST_HOLD) + HOLD_MARGIN


def find_cycle(depends_on: Mapping[str, Sequence[str]]) -> list[str] | None:
    """A way from a website back to itself by what each depends on; None: there is none."""
    done: set[str] = set()
    for start in depends_on:
        way: list[str] = []
        stack = [iter((start,))]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                if way:
                    done.add(way.pop())
            elif name in way:
                return [*way[way.index(name) :], name]
            elif name not in done:
                way.append(name)
                stack.append(iter(tuple(depends_on.get(name, ()))))
    return None
