"""Incidents as the list shows them: those with one cause under the one that speaks."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from argos.core.severity import Severity
from argos.server.models import Incident, Task
from argos.server.queries.bulk import id_in
from argos.server.queries.gathering import leader_id
from argos.server.queries.incident_list import (
    IncidentRow,
    IncidentSearch,
    incident_rows,
    is_before,
)
from argos.server.queries.selection import fetch, severity_of, urgency_of

SHOWN_CHILDREN = 10
"""So many are listed under the one that speaks for them; the others on its page."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What an incident speaks for, itself included."""

    count: int
    open_count: int
    website_count: int
    severity: Severity
    """The worst of what is open, or of all when it is over."""
    closed_at: datetime | None
    """When the last of them ended; None: some are open."""
    children: Sequence[IncidentRow]
    """The first of the others, what is open first."""


def list_leaders(session: Session, search: IncidentSearch) -> Sequence[IncidentRow]:
    """Incidents that speak for themselves, newest first; one more than asked for.

    Open are those for which any that they speak for is.
    """
    parent = aliased(Incident)
    statement = (
        incident_rows()
        .where(
            # The one that spoke for it may have gone with its task.
            or_(
                Incident.parent_id.is_(None),
                ~exists().where(parent.id == Incident.parent_id),
            )
        )
        .limit(search.limit + 1)
    )
    if search.is_open is not None:
        is_open = Incident.id.in_(_open_leader_ids())
        statement = statement.where(is_open if search.is_open else ~is_open)
    if search.before is not None:
        statement = statement.where(is_before(*search.before))
    return [IncidentRow(*row) for row in fetch(session, statement)]


def _open_leader_ids() -> Any:
    member, leader = aliased(Incident), aliased(Incident)
    return (
        select(func.coalesce(leader.id, member.id))
        .select_from(member)
        .outerjoin(leader, leader.id == member.parent_id)
        .where(member.closed_at.is_(None))
    )


def list_gathered(
    session: Session, *, leader_ids: Collection[int]
) -> Mapping[int, Gathered]:
    """What incidents speak for; those that speak for themselves alone are left out."""
    if not leader_ids:
        return {}
    urgency = urgency_of(Incident.severity)
    leader = leader_id()
    is_open = Incident.closed_at.is_(None)
    rows = fetch(
        session,
        select(
            leader,
            func.count(),
            func.count().filter(is_open),
            func.count(func.coalesce(Task.website_id, -Task.id).distinct()),
            func.coalesce(func.max(case((is_open, urgency))), func.max(urgency)),
            func.max(Incident.closed_at),
        )
        .join(Task, Task.id == Incident.task_id)
        .where(
            or_(
                id_in(session, Incident.id, leader_ids),
                id_in(session, Incident.parent_id, leader_ids),
            )
        )
        .group_by(leader)
        .having(func.count() > 1),
    )
    children = _list_first_children(session, leader_ids=[row[0] for row in rows])
    return {
        id_: Gathered(
            count=count,
            open_count=open_count,
            website_count=website_count,
            severity=severity_of(worst),
            closed_at=None if open_count else closed_at,
            children=children[id_],
        )
        for id_, count, open_count, website_count, worst, closed_at in rows
    }


def list_children(
    session: Session, *, parent_id: int, limit: int = 500
) -> Sequence[IncidentRow]:
    """The incidents that an incident speaks for."""
    statement = incident_rows().where(Incident.parent_id == parent_id).limit(limit)
    return [IncidentRow(*row) for row in fetch(session, statement)]


def _list_first_children(
    session: Session, *, leader_ids: Collection[int]
) -> Mapping[int, Sequence[IncidentRow]]:
    place = func.row_number().over(
        partition_by=Incident.parent_id,
        order_by=(Incident.closed_at.is_not(None), Incident.opened_at, Incident.id),
    )
    ranked = (
        select(Incident.id, place.label("place"))
        .where(id_in(session, Incident.parent_id, leader_ids))
        .subquery()
    )
    statement = (
        incident_rows()
        .order_by(None)
        .join(ranked, ranked.c.id == Incident.id)
        .where(ranked.c.place <= SHOWN_CHILDREN)
        .order_by(ranked.c.place)
    )
    found: dict[int, list[IncidentRow]] = defaultdict(list)
    for row in fetch(session, statement):
        child = IncidentRow(*row)
        if child.parent_id is not None:
            found[child.parent_id].append(child)
    return found
