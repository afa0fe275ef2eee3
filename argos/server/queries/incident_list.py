"""Incidents, as the pages list and tell them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import Session

from argos.channels import recipient_name
from argos.core.cause import Cause, Common, Traits, common_of
from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.server.columns import UtcDateTime
from argos.server.models import (
    Delivery,
    DeliveryState,
    Event,
    Incident,
    Task,
    Website,
)
from argos.server.queries.bulk import id_in
from argos.server.queries.selection import fetch, inline


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
    cause: Cause | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None
    certificate: str | None = None
    address: str | None = None
    agent: str | None = None

    def common_with(self, leader_host: str | None) -> Common | None:
        """What it has in common with the incident that speaks for it, if one does."""
        if self.cause is None:
            return None
        traits = Traits(leader_host, self.certificate, self.address, self.agent)
        return common_of(self.cause, traits)


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
    held_by: str | None
    """What keeps it back, or did."""
    dropped_at: datetime | None


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


@dataclass(frozen=True, slots=True)
class IncidentSearch:
    """Which incidents a list shows; the newest first."""

    is_open: bool | None = None
    before: tuple[datetime, int] | None = None
    """Begin and id of the last incident of the page before."""
    limit: int = 50
    parent_id: int | None = None
    """Those that this incident speaks for."""


def list_incidents(session: Session, search: IncidentSearch) -> Sequence[IncidentRow]:
    """Incidents, newest first; one more than asked for tells of a next page."""
    kinds: list[Kind] = []
    if search.parent_id is not None:
        kinds = [_children_of(search.parent_id, search.is_open)]
        return list_newest(session, find_newest(session, kinds, search), search)
    if search.is_open is not False:
        # By severity, as they are indexed.
        kinds += [(IS_OPEN, Incident.severity == inline(each)) for each in Severity]
    if search.is_open is not True:
        kinds.append((IS_CLOSED,))
    return list_newest(session, find_newest(session, kinds, search), search)


IS_OPEN = Incident.closed_at.is_(None)
IS_CLOSED = Incident.closed_at.is_not(None)
Kind = tuple[ColumnElement[bool], ...]
"""Conditions of an index from which the newest incidents can be read."""
Place = tuple[datetime, int]
"""When an incident began, and its id."""


def _children_of(parent_id: int, is_open: bool | None) -> Kind:
    is_child = Incident.parent_id == parent_id
    if is_open is None:
        return (is_child,)
    return (is_child, IS_OPEN if is_open else IS_CLOSED)


def find_newest(
    session: Session, kinds: Iterable[Kind], search: IncidentSearch
) -> list[Place]:
    """The places of incidents of any of these kinds: of each the newest, and one more.

    Each is read by its own index, whatever lies between in the list.
    """
    places: list[Place] = []
    for conditions in kinds:
        statement = (
            select(Incident.opened_at, Incident.id)
            .where(*conditions)
            .order_by(Incident.opened_at.desc(), Incident.id.desc())
            .limit(search.limit + 1)
        )
        if search.before is not None:
            statement = statement.where(is_before(*search.before))
        places += [(opened_at, id_) for opened_at, id_ in session.execute(statement)]
    return places


def list_newest(
    session: Session, places: Iterable[Place], search: IncidentSearch
) -> Sequence[IncidentRow]:
    """The newest of the incidents at these places, one more than asked for."""
    newest = sorted(places, reverse=True)[: search.limit + 1]
    if not newest:
        return []
    statement = incident_rows().where(
        id_in(session, Incident.id, [id_ for _, id_ in newest])
    )
    return [IncidentRow(*row) for row in fetch(session, statement)]


def list_hosts(session: Session, *, incident_ids: Collection[int]) -> dict[int, str]:
    """The hosts of some incidents' websites."""
    if not incident_ids:
        return {}
    rows = session.execute(
        select(Incident.id, func.coalesce(Website.host, Task.domain))
        .join(Task, Task.id == Incident.task_id)
        .outerjoin(Website, Website.id == Task.website_id)
        .where(id_in(session, Incident.id, incident_ids))
    )
    return dict(rows.all())


def is_before(opened_at: datetime, id_: int) -> ColumnElement[bool]:
    """Whether an incident comes after a place of the list, newest first."""
    # With its type: SQLite keeps moments as numbers.
    place = tuple_(literal(opened_at, UtcDateTime), id_)
    return tuple_(Incident.opened_at, Incident.id) < place


def list_website_incidents(
    session: Session, *, website_ids: Sequence[int], since: datetime, limit: int = 500
) -> Sequence[IncidentRow]:
    """The incidents of some websites that are open, or ended after a moment."""
    statement = (
        incident_rows()
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
        incident_rows()
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
        incident_rows()
        .where(
            Website.host == incident.host,
            Incident.id != incident.id,
            Incident.opened_at >= incident.opened_at - within,
            Incident.opened_at <= incident.opened_at + within,
        )
        .limit(limit)
    )
    return [IncidentRow(*row) for row in fetch(session, statement)]


def get_incident(session: Session, *, incident_id: int) -> IncidentRow | None:
    """The incident of this id."""
    row = session.execute(incident_rows().where(Incident.id == incident_id)).first()
    return IncidentRow(*row) if row else None


def get_place(session: Session, *, incident_id: int) -> Place | None:
    """Where an incident stands in a list."""
    statement = select(Incident.opened_at).where(Incident.id == incident_id)
    opened_at = session.scalar(statement)
    return None if opened_at is None else (opened_at, incident_id)


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
            Delivery.held_by,
            Delivery.dropped_at,
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


def incident_rows() -> Select[*tuple[Any, ...]]:
    """Statement of the columns of `IncidentRow`, newest first."""
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
            Incident.certificate,
            Incident.address,
            Incident.agent,
        )
        .join(Task, Task.id == Incident.task_id)
        .outerjoin(Website, Website.id == Task.website_id)
        .order_by(Incident.opened_at.desc(), Incident.id.desc())
    )
