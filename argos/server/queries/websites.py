"""Websites: the list, and what its rows say.

Sorted most urgent first. What is not ok comes from its small partial index, the rest in
the order of the hosts, so that a page costs the same in a fleet of any size.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, and_, case, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session

from argos.core.severity import Severity
from argos.server.models import Result, Task, Website
from argos.server.queries.selection import (
    HAS_TRUSTWORTHY_TIME,
    IS_ACTIVE,
    IS_NOT_OK,
    bucket_of,
    fetch,
    inline,
    like_pattern,
    severity_of,
    urgency_of,
)

CERTIFICATE_CHECK = "ssl-certificate-expiration"


@dataclass(frozen=True, slots=True)
class WebsiteState:
    """A website in a list: how it is, since when, and its checks by severity."""

    id: int
    host: str
    name: str | None
    severity: Severity
    since: datetime | None
    last_check_at: datetime | None
    checks: Mapping[Severity, int]


class WebsiteFilter(StrEnum):
    """Which websites a list shows; the values of `?s=` are those of 0.10.3."""

    ALL = "all"
    NOT_OK = "not-ok"
    CRITICAL = "critical"
    WARNING = "warning"
    UNKNOWN = "unknown"
    OK = "ok"


@dataclass(frozen=True, slots=True, order=True)
class WebsitePlace:
    """A website's place in the list: most urgent first, then by host."""

    urgency: int
    host: str
    id: int


@dataclass(frozen=True, slots=True)
class WebsiteSearch:
    """What a list of websites is asked for."""

    state: WebsiteFilter = WebsiteFilter.ALL
    text: str = ""
    """A part of a host or a name."""
    after: WebsitePlace | None = None
    limit: int = 25


@dataclass(frozen=True, slots=True)
class WebsitePage:
    """A page of the list, and where the next one begins."""

    websites: Sequence[WebsiteState] = ()
    next_place: WebsitePlace | None = None


def list_websites(session: Session, search: WebsiteSearch) -> WebsitePage:
    """A page of websites, the most urgent first."""
    places = list(_not_ok_places(session, search, limit=search.limit + 1))
    if len(places) <= search.limit:
        places += _ok_places(session, search, limit=search.limit + 1 - len(places))
    shown = places[: search.limit]
    states = list_website_states(session, website_ids=[place.id for place in shown])
    return WebsitePage(states, shown[-1] if len(places) > search.limit else None)


def _not_ok_places(
    session: Session, search: WebsiteSearch, *, limit: int
) -> Sequence[WebsitePlace]:
    is_past = search.after is not None and search.after.urgency == 0
    if search.state is WebsiteFilter.OK or is_past:
        return ()
    urgency = func.max(urgency_of(Task.severity))
    # The "+ 0" keeps SQLite from walking all tasks in the order of their websites,
    # instead of the few that the partial index holds: 19 ms against 0.2 ms.
    website_id = Task.website_id + 0
    bad = (
        select(website_id.label("website_id"), urgency.label("urgency"))
        .where(IS_NOT_OK)
        .group_by(website_id)
    )
    if search.state not in {WebsiteFilter.ALL, WebsiteFilter.NOT_OK}:
        wanted = inline(Severity(search.state.value))
        bad = bad.having(func.max(case((Task.severity == wanted, 1), else_=0)) == 1)
    found = bad.subquery()
    statement = (
        select(found.c.urgency, Website.host, Website.id)
        .join(Website, Website.id == found.c.website_id)
        .order_by(found.c.urgency.desc(), Website.host, Website.id)
        .limit(limit)
    )
    if search.after is not None:
        statement = statement.where(
            or_(
                found.c.urgency < search.after.urgency,
                and_(
                    found.c.urgency == search.after.urgency,
                    _comes_after(search.after),
                ),
            )
        )
    return [
        WebsitePlace(*row) for row in fetch(session, _matching(statement, search.text))
    ]


def _ok_places(
    session: Session, search: WebsiteSearch, *, limit: int
) -> list[WebsitePlace]:
    if search.state not in {WebsiteFilter.ALL, WebsiteFilter.OK}:
        return []
    is_troubled = exists().where(Task.website_id == Website.id, IS_NOT_OK)
    statement = (
        select(Website.host, Website.id)
        .where(Website.archived_at.is_(None), ~is_troubled)
        .order_by(Website.host, Website.id)
        .limit(limit)
    )
    if search.after is not None and search.after.urgency == 0:
        statement = statement.where(_comes_after(search.after))
    rows = fetch(session, _matching(statement, search.text))
    return [WebsitePlace(0, host, id_) for host, id_ in rows]


def _comes_after(place: WebsitePlace) -> Any:
    return tuple_(Website.host, Website.id) > tuple_(place.host, place.id)


def _matching(
    statement: Select[*tuple[Any, ...]], text: str
) -> Select[*tuple[Any, ...]]:
    if not text:
        return statement
    pattern = like_pattern(text.casefold())
    return statement.where(
        or_(
            func.lower(Website.host).like(pattern, escape="\\"),
            func.lower(Website.name).like(pattern, escape="\\"),
        )
    )


def list_website_states(
    session: Session, *, website_ids: Sequence[int]
) -> list[WebsiteState]:
    """How some websites are, in the order of their ids as given."""
    if not website_ids:
        return []
    rows = fetch(
        session,
        select(
            Task.website_id,
            Task.severity,
            func.count(),
            func.min(Task.severity_since),
            func.max(Task.completed_at),
        )
        .where(Task.website_id.in_(website_ids), IS_ACTIVE)
        .group_by(Task.website_id, Task.severity),
    )
    parts: dict[int, list[_Part]] = defaultdict(list)
    for website_id, *part in rows:
        parts[website_id].append(_Part(*part))
    names = session.execute(
        select(Website.id, Website.host, Website.name).where(
            Website.id.in_(website_ids)
        )
    )
    by_id = {
        id_: _website_state(id_, host, name, parts[id_]) for id_, host, name in names
    }
    return [by_id[id_] for id_ in website_ids if id_ in by_id]


@dataclass(frozen=True, slots=True)
class _Part:
    """The checks of a website that have one severity."""

    severity: Severity
    count: int
    since: datetime | None
    last_check_at: datetime | None


def _website_state(
    id_: int, host: str, name: str | None, parts: Iterable[_Part]
) -> WebsiteState:
    ordered = sorted(parts, key=lambda part: part.severity.urgency, reverse=True)
    checked = [part.last_check_at for part in ordered if part.last_check_at]
    return WebsiteState(
        id=id_,
        host=host,
        name=name,
        severity=ordered[0].severity if ordered else Severity.UNKNOWN,
        since=ordered[0].since if ordered else None,
        last_check_at=max(checked, default=None),
        checks={part.severity: part.count for part in ordered},
    )


def list_certificate_days(
    session: Session, *, website_ids: Sequence[int]
) -> dict[int, int]:
    """The days until the first certificate of each website ends, where known."""
    days: dict[int, int] = {}
    rows = session.execute(
        select(Task.website_id, Result.context)
        .join(
            Result,
            and_(Result.task_id == Task.id, Result.submitted_at == Task.completed_at),
        )
        .where(
            Task.website_id.in_(website_ids),
            Task.check == CERTIFICATE_CHECK,
            IS_ACTIVE,
        )
    )
    for website_id, context in rows:
        found = context.get("expires_in") if isinstance(context, dict) else None
        if isinstance(found, int):
            days[website_id] = min(found, days.get(website_id, found))
    return days


def list_website_strips(
    session: Session,
    *,
    website_ids: Sequence[int],
    since: datetime,
    width: timedelta,
) -> Mapping[int, Mapping[int, Severity]]:
    """The most urgent severity of each website in each stretch of time.

    Stretches are numbered from `since` on; those without a result are left out.
    """
    bucket = bucket_of(session, Result.submitted_at, since=since, width=width)
    rows = fetch(
        session,
        select(
            Task.website_id,
            bucket.label("bucket"),
            func.max(urgency_of(Result.severity)),
        )
        .join(Result, Result.task_id == Task.id)
        .where(
            Task.website_id.in_(website_ids), IS_ACTIVE, Result.submitted_at >= since
        )
        .group_by(Task.website_id, bucket),
    )
    strips: dict[int, dict[int, Severity]] = defaultdict(dict)
    for website_id, place, urgency in rows:
        strips[website_id][place] = severity_of(urgency)
    return strips


def list_response_times(
    session: Session, *, website_ids: Sequence[int], since: datetime
) -> dict[int, int]:
    """The 95th percentile of each website's response time, in microseconds.

    Of the first task of each website: the others mostly share its probe.
    """
    leader = (
        select(func.min(Task.id))
        .where(Task.website_id.in_(website_ids), IS_ACTIVE)
        .group_by(Task.website_id)
    )
    share = func.cume_dist().over(
        partition_by=Task.website_id, order_by=Result.total_us
    )
    ranked = (
        select(Task.website_id, Result.total_us, share.label("share"))
        .join(Result, Result.task_id == Task.id)
        .where(
            Task.id.in_(leader),
            Result.submitted_at >= since,
            HAS_TRUSTWORTHY_TIME,
        )
        .subquery()
    )
    rows = session.execute(
        select(ranked.c.website_id, func.min(ranked.c.total_us))
        .where(ranked.c.share >= 0.95)
        .group_by(ranked.c.website_id)
    )
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class HostState:
    """All checks of a host in few words, for programs."""

    host: str
    severities: list[Severity]
    """Without repeats, worst first."""
    last_check_at: datetime | None


def list_hosts(session: Session) -> list[HostState]:
    """Every host that the config names, the worst first."""
    hosts: dict[int, str] = dict(fetch(session, select(Website.id, Website.host)))
    rows = fetch(
        session,
        select(Task.website_id, Task.severity, func.max(Task.completed_at))
        .where(IS_ACTIVE, Task.website_id.is_not(None))
        .group_by(Task.website_id, Task.severity),
    )
    found: dict[str, dict[Severity, datetime | None]] = defaultdict(dict)
    for website_id, severity, completed_at in rows:
        parts = found[hosts[website_id]]
        parts[severity] = max(
            (m for m in (parts.get(severity), completed_at) if m), default=None
        )
    states = [
        HostState(
            host,
            sorted(parts, key=lambda severity: severity.rank, reverse=True),
            max((moment for moment in parts.values() if moment), default=None),
        )
        for host, parts in found.items()
    ]
    return sorted(states, key=lambda state: (-state.severities[0].rank, state.host))
