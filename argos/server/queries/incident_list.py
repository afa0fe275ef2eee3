"""Incidents, as the pages list and tell them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, tuple_, union_all
from sqlalchemy.orm import Session

from argos.channels import recipient_name
from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.server.models import (
    Delivery,
    DeliveryState,
    Event,
    Incident,
    Result,
    Task,
    Website,
)
from argos.server.queries.selection import fetch, inline, severity_of, urgency_of


@dataclass(frozen=True, slots=True)
class OpenTrouble:
    """The open incidents of one website, and its most urgent one as an example."""

    website_id: int | None
    host: str
    name: str | None
    severity: Severity
    opened_at: datetime
    check_count: int
    incident_id: int
    task_id: int
    check: str
    context: Mapping[str, Any]
    """The facts of the example's last result."""
    ip_versions: Sequence[str] = ()
    agents: Sequence[str] = ()
    told: Mapping[str, DeliveryState] | None = None
    """Who was told, or is going to be."""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident in a list."""

    id: int
    task_id: int
    host: str
    url: str
    check: str
    ip_version: str
    severity: Severity
    opened_at: datetime
    closed_at: datetime | None
    parent_id: int | None = None
    """The incident that speaks for it."""
    cause: str | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A notice to one recipient, as far as it came."""

    recipient: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    due_at: datetime
    last_error: str | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A step of an incident, with its notices."""

    kind: EventKind
    at: datetime
    severity: Severity
    previous_severity: Severity
    reason: str
    agent_id: str | None
    facts: Mapping[str, Any]
    deliveries: Sequence[DeliveryRow]


STORM = 1_000
"""Of more open incidents of one severity only the newest are looked at for cards."""


def count_open_incidents(session: Session) -> tuple[int, int]:
    """How many incidents are open, on how many websites."""
    row = session.execute(
        select(func.count(), func.count(Task.website_id.distinct()))
        .select_from(Incident)
        .join(Task, Task.id == Incident.task_id)
        .where(Incident.closed_at.is_(None), Task.archived_at.is_(None))
    ).one()
    return row[0], row[1]


def list_open_troubles(session: Session, *, limit: int = 200) -> list[OpenTrouble]:
    """What is going on, website by website: the most urgent, then the newest first."""
    urgency = urgency_of(Incident.severity)
    place = func.row_number().over(
        partition_by=Task.website_id,
        order_by=(urgency.desc(), Incident.opened_at, Incident.id),
    )
    ranked = (
        select(
            Task.website_id,
            Incident.id.label("incident_id"),
            Task.id.label("task_id"),
            Task.check,
            Task.completed_at,
            _over_website(func.max(urgency)).label("urgency"),
            _over_website(func.min(Incident.opened_at)).label("opened_at"),
            _over_website(func.count()).label("check_count"),
            place.label("place"),
        )
        .join(Task, Task.id == Incident.task_id)
        .where(Incident.id.in_(_newest_open()), Task.archived_at.is_(None))
        .subquery()
    )
    rows = session.execute(
        select(ranked, Website.host, Website.name, Result.context)
        .outerjoin(Website, Website.id == ranked.c.website_id)
        .outerjoin(
            Result,
            and_(
                Result.task_id == ranked.c.task_id,
                Result.submitted_at == ranked.c.completed_at,
            ),
        )
        .where(ranked.c.place == 1)
        .order_by(ranked.c.urgency.desc(), ranked.c.opened_at.desc())
        .limit(limit)
    ).mappings()
    return [
        OpenTrouble(
            website_id=row["website_id"],
            host=row["host"] or "",
            name=row["name"],
            severity=severity_of(row["urgency"]),
            opened_at=row["opened_at"],
            check_count=row["check_count"],
            incident_id=row["incident_id"],
            task_id=row["task_id"],
            check=row["check"],
            context=row["context"] if isinstance(row["context"], dict) else {},
        )
        for row in rows
    ]


def _newest_open() -> Any:
    """The newest open incidents of each severity: of a storm, not all of them."""
    return union_all(
        *(
            select(
                select(Incident.id)
                .where(
                    Incident.closed_at.is_(None), Incident.severity == inline(severity)
                )
                .order_by(Incident.opened_at.desc())
                .limit(STORM)
                .subquery()
                .c.id
            )
            for severity in Severity
        )
    )


def _over_website(aggregate: Any) -> Any:
    return aggregate.over(partition_by=Task.website_id)


def list_witnesses(
    session: Session, *, website_ids: Sequence[int]
) -> tuple[Mapping[int, Sequence[str]], Mapping[int, Sequence[str]]]:
    """By website: the IP versions with an open incident, and the agents that saw it."""
    rows = fetch(
        session,
        select(Task.website_id, Task.ip_version, Result.agent_id)
        .join(Incident, Incident.task_id == Task.id)
        .outerjoin(
            Result,
            and_(Result.task_id == Task.id, Result.submitted_at == Task.completed_at),
        )
        .where(Incident.closed_at.is_(None), Task.website_id.in_(website_ids))
        .distinct(),
    )
    versions: dict[int, set[str]] = defaultdict(set)
    agents: dict[int, set[str]] = defaultdict(set)
    for website_id, ip_version, agent_id in rows:
        versions[website_id].add(ip_version)
        if agent_id is not None:
            agents[website_id].add(agent_id)
    return _sorted(versions), _sorted(agents)


def _sorted(found: Mapping[int, set[str]]) -> Mapping[int, Sequence[str]]:
    return {key: sorted(values) for key, values in found.items()}


def list_told(
    session: Session, *, website_ids: Sequence[int]
) -> Mapping[int, Mapping[str, DeliveryState]]:
    """By website: who was, or is to be, told of its open incidents."""
    rows = fetch(
        session,
        select(Task.website_id, Delivery.recipient, Delivery.state)
        .join(Event, Event.id == Delivery.event_id)
        .join(Incident, Incident.id == Event.incident_id)
        .join(Task, Task.id == Incident.task_id)
        .where(Incident.closed_at.is_(None), Task.website_id.in_(website_ids))
        .distinct(),
    )
    told: dict[int, dict[str, DeliveryState]] = defaultdict(dict)
    for website_id, target, state in rows:
        recipient = recipient_name(target)
        known = told[website_id].get(recipient)
        # One notice under way tells more than those that arrived.
        if known is None or known is DeliveryState.SENT:
            told[website_id][recipient] = state
    return told


@dataclass(frozen=True, slots=True)
class IncidentSearch:
    """Which incidents a list shows; the newest first."""

    is_open: bool | None = None
    before: tuple[datetime, int] | None = None
    """Begin and id of the last incident of the page before."""
    limit: int = 50


def list_incidents(session: Session, search: IncidentSearch) -> Sequence[IncidentRow]:
    """Incidents, newest first; one more than asked for tells of a next page."""
    statement = _incident_rows().limit(search.limit + 1)
    if search.is_open is not None:
        closed = Incident.closed_at
        statement = statement.where(
            closed.is_(None) if search.is_open else closed.is_not(None)
        )
    if search.before is not None:
        statement = statement.where(
            tuple_(Incident.opened_at, Incident.id) < tuple_(*search.before)
        )
    return [IncidentRow(*row) for row in fetch(session, statement)]


def list_website_incidents(
    session: Session, *, website_ids: Sequence[int], since: datetime, limit: int = 500
) -> Sequence[IncidentRow]:
    """The incidents of some websites that are open, or ended after a moment."""
    statement = (
        _incident_rows()
        .where(
            Task.website_id.in_(website_ids),
            or_(Incident.closed_at.is_(None), Incident.closed_at >= since),
        )
        .limit(limit)
    )
    return [IncidentRow(*row) for row in fetch(session, statement)]


def list_task_incidents(
    session: Session, *, task_id: int, since: datetime, limit: int = 100
) -> Sequence[IncidentRow]:
    """The incidents of a task that are open, or ended after a moment."""
    statement = (
        _incident_rows()
        .where(
            Incident.task_id == task_id,
            or_(Incident.closed_at.is_(None), Incident.closed_at >= since),
        )
        .limit(limit)
    )
    return [IncidentRow(*row) for row in fetch(session, statement)]


def list_related(
    session: Session, incident: IncidentRow, *, within: timedelta, limit: int = 50
) -> Sequence[IncidentRow]:
    """Other incidents of the same website that began at about the same time."""
    statement = (
        _incident_rows()
        .where(
            Website.host == incident.host,
            Incident.id != incident.id,
            Incident.opened_at >= incident.opened_at - within,
            Incident.opened_at <= incident.opened_at + within,
        )
        .limit(limit)
    )
    return [IncidentRow(*row) for row in fetch(session, statement)]


def list_children(
    session: Session, *, parent_id: int, limit: int = 500
) -> Sequence[IncidentRow]:
    """The incidents that an incident speaks for."""
    statement = _incident_rows().where(Incident.parent_id == parent_id).limit(limit)
    return [IncidentRow(*row) for row in fetch(session, statement)]


def get_incident(session: Session, *, incident_id: int) -> IncidentRow | None:
    """The incident of this id."""
    row = session.execute(_incident_rows().where(Incident.id == incident_id)).first()
    return IncidentRow(*row) if row else None


def list_events(session: Session, *, incident_id: int) -> Sequence[EventRow]:
    """The steps of an incident, in their order, with the notices of each."""
    events = fetch(
        session,
        select(
            Event.id,
            Event.kind,
            Event.at,
            Event.severity,
            Event.previous_severity,
            Event.reason,
            Event.agent_id,
            Event.facts,
        )
        .where(Event.incident_id == incident_id)
        .order_by(Event.seq),
    )
    deliveries: dict[int, list[DeliveryRow]] = defaultdict(list)
    rows = fetch(
        session,
        select(
            Delivery.event_id,
            Delivery.recipient,
            Delivery.state,
            Delivery.attempts,
            Delivery.created_at,
            Delivery.sent_at,
            Delivery.due_at,
            Delivery.last_error,
        )
        .join(Event, Event.id == Delivery.event_id)
        .where(Event.incident_id == incident_id)
        .order_by(Delivery.id),
    )
    for event_id, target, *values in rows:
        delivery = DeliveryRow(recipient_name(target), *values)
        deliveries[event_id].append(delivery)
    rows = [(*event[1:], deliveries[event[0]]) for event in events]
    return [EventRow(*row) for row in rows]


def _incident_rows() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Incident.id,
            Incident.task_id,
            func.coalesce(Website.host, Task.domain),
            Task.url,
            Task.check,
            Task.ip_version,
            Incident.severity,
            Incident.opened_at,
            Incident.closed_at,
            Incident.parent_id,
            Incident.cause,
            Incident.acknowledged_by,
            Incident.acknowledged_at,
            Incident.acknowledged_until,
        )
        .join(Task, Task.id == Incident.task_id)
        .outerjoin(Website, Website.id == Task.website_id)
        .order_by(Incident.opened_at.desc(), Incident.id.desc())
    )
