"""Websites: the list, and what its rows say.

Sorted most urgent first. What is not ok comes from its small partial index, the rest in
the order of the hosts, so that a page costs the same in a fleet of any size.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import Session

from argos.core.rollup import Counts, merge, percentile_us
from argos.core.severity import Severity
from argos.server.models import Result, Task, Website
from argos.server.queries import rollups
from argos.server.queries.bulk import id_in, is_sqlite
from argos.server.queries.rollups import HourSpan
from argos.server.queries.selection import (
    IS_ACTIVE,
    IS_LAST_KEPT,
    IS_NOT_OK,
    fetch,
    inline,
    like_pattern,
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
    matches = _matches(session, search.text)
    places = _not_ok_places(session, search, matches, limit=search.limit + 1)
    if len(places) <= search.limit:
        left = search.limit + 1 - len(places)
        places += _ok_places(session, search, matches, limit=left)
    shown = places[: search.limit]
    states = list_website_states(session, website_ids=[place.id for place in shown])
    return WebsitePage(states, shown[-1] if len(places) > search.limit else None)


def _not_ok_places(
    session: Session,
    search: WebsiteSearch,
    matches: ColumnElement[bool],
    *,
    limit: int,
) -> list[WebsitePlace]:
    """Places of websites that are not ok, from one urgency to the next."""
    places: list[WebsitePlace] = []
    asked = _severity_of(search.state)
    if asked is not None and not _is_any(session, asked):
        return places
    for severity in _BY_URGENCY:
        if len(places) < limit and _may_hold(search, severity):
            statement = _places_of(session, search, severity).where(matches)
            rows = fetch(session, statement.limit(limit - len(places)))
            places += [WebsitePlace(severity.urgency, *row) for row in rows]
    return places


_BY_URGENCY = sorted(set(Severity) - {Severity.OK}, key=lambda s: s.urgency)[::-1]


def _may_hold(search: WebsiteSearch, severity: Severity) -> bool:
    """Whether websites of which this is the most urgent severity are asked for."""
    if search.after is not None and severity.urgency > search.after.urgency:
        return False
    asked = _severity_of(search.state)
    return search.state is not WebsiteFilter.OK and (
        asked is None or severity.urgency >= asked.urgency
    )


def _severity_of(state: WebsiteFilter) -> Severity | None:
    is_one = state not in {WebsiteFilter.ALL, WebsiteFilter.NOT_OK, WebsiteFilter.OK}
    return Severity(state.value) if is_one else None


MANY_TASKS = 5_000
"""Up to so many that are not ok, their websites are looked up; of more, the websites
are walked in the order of the list, as nearly each has some."""


def _places_of(
    session: Session, search: WebsiteSearch, severity: Severity
) -> Select[*tuple[Any, ...]]:
    """Websites of which this is the most urgent severity, by host."""
    higher = _BY_URGENCY[: _BY_URGENCY.index(severity)]
    statement = (
        select(Website.host, Website.id)
        .where(*(~_has(each) for each in higher))
        .order_by(Website.host, Website.id)
    )
    if _is_many(session, severity):
        statement = statement.where(_is_met_with(severity))
    else:
        bad = select(Task.website_id).where(
            IS_NOT_OK, Task.severity == inline(severity)
        )
        statement = statement.where(Website.id.in_(bad))
    asked = _severity_of(search.state)
    if asked is not None and asked is not severity:
        statement = statement.where(_has(asked))
    if search.after is not None and search.after.urgency == severity.urgency:
        statement = statement.where(_comes_after(search.after))
    return statement


def _has(severity: Severity) -> ColumnElement[bool]:
    return exists().where(
        Task.website_id == Website.id, IS_NOT_OK, Task.severity == inline(severity)
    )


def _is_met_with(severity: Severity) -> ColumnElement[bool]:
    """The same for a walk from website to website.

    PostgreSQL finds no other way for it, whatever it believes of the tasks: of a fleet
    that was just loaded it joined all that are not ok for the first ten.
    """
    first = (
        select(Task.id)
        .where(
            Task.website_id == Website.id, IS_NOT_OK, Task.severity == inline(severity)
        )
        .limit(1)
    )
    return first.scalar_subquery().is_not(None)


def _is_any(session: Session, severity: Severity) -> bool:
    some = exists().where(IS_NOT_OK, Task.severity == inline(severity))
    return bool(session.scalar(select(some)))


def _is_many(session: Session, severity: Severity) -> bool:
    some = (
        select(literal(1))
        .select_from(Task)
        .where(IS_NOT_OK, Task.severity == inline(severity))
        .limit(MANY_TASKS + 1)
        .subquery()
    )
    counted = session.scalar(select(func.count()).select_from(some)) or 0
    return counted > MANY_TASKS


def _ok_places(
    session: Session,
    search: WebsiteSearch,
    matches: ColumnElement[bool],
    *,
    limit: int,
) -> list[WebsitePlace]:
    if search.state not in {WebsiteFilter.ALL, WebsiteFilter.OK}:
        return []
    is_troubled = exists().where(Task.website_id == Website.id, IS_NOT_OK)
    statement = (
        select(Website.host, Website.id)
        .where(Website.archived_at.is_(None), ~is_troubled, matches)
        .order_by(Website.host, Website.id)
        .limit(limit)
    )
    if search.after is not None and search.after.urgency == 0:
        statement = statement.where(_comes_after(search.after))
    rows = fetch(session, statement)
    return [WebsitePlace(0, host, id_) for host, id_ in rows]


def _comes_after(place: WebsitePlace) -> Any:
    return tuple_(Website.host, Website.id) > tuple_(place.host, place.id)


MANY_MATCHES = 1_000
"""So many websites are looked up by their ids instead of by what was searched for."""


def _matches(session: Session, text: str) -> ColumnElement[bool]:
    """Which websites were searched for: all are looked through once, if at all."""
    if not text:
        return true()
    pattern = like_pattern(text.casefold())
    names = [Website.host, Website.name]
    if is_sqlite(session):
        # Its LIKE knows no case, and without `lower` it takes half as long.
        is_like = or_(*(name.like(pattern, escape="\\") for name in names))
    else:
        is_like = or_(*(func.lower(name).like(pattern, escape="\\") for name in names))
    found = select(Website.id).where(is_like).limit(MANY_MATCHES + 1)
    ids = session.scalars(found).all()
    return is_like if len(ids) > MANY_MATCHES else id_in(session, Website.id, ids)


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
        .join(Result, IS_LAST_KEPT)
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


def list_website_counts(
    session: Session, *, website_ids: Sequence[int], span: HourSpan
) -> Mapping[int, Mapping[int, Counts]]:
    """How often each severity was measured of each website, by hour."""
    tasks: dict[int, list[int]] = defaultdict(list)
    for task_id, website_id in fetch(
        session,
        select(Task.id, Task.website_id).where(
            Task.website_id.in_(website_ids), IS_ACTIVE
        ),
    ):
        tasks[website_id].append(task_id)
    return rollups.list_hourly_counts_by(session, tasks=tasks, span=span)


def list_response_times(
    session: Session, *, website_ids: Sequence[int], span: HourSpan
) -> dict[int, int]:
    """The 95th percentile of each website's response time, in microseconds."""
    groups = fetch(
        session,
        select(Task.website_id, Task.group_id)
        .where(Task.website_id.in_(website_ids), IS_ACTIVE, Task.group_id.is_not(None))
        .distinct(),
    )
    slots = rollups.list_group_slots(
        session, group_ids={group_id for _, group_id in groups}, span=span
    )
    by_website: dict[int, list[Mapping[int, int]]] = defaultdict(list)
    for website_id, group_id in groups:
        by_website[website_id].append(slots.get(group_id, {}))
    times = {
        website_id: percentile_us(merge(found), 0.95)
        for website_id, found in by_website.items()
    }
    return {website_id: time for website_id, time in times.items() if time is not None}
