"""Incidents as the list shows them: those with one cause under the one that speaks."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from argos.core.severity import Severity
from argos.server.models import Incident, Task
from argos.server.queries.bulk import id_in, id_list, run
from argos.server.queries.gathering import leader_id
from argos.server.queries.incident_list import (
    IS_CLOSED,
    IS_OPEN,
    IncidentRow,
    IncidentSearch,
    Kind,
    Place,
    find_newest,
    incident_rows,
    list_newest,
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
    is_crowd: bool = False
    """There are more than were counted."""


def list_leaders(session: Session, search: IncidentSearch) -> Sequence[IncidentRow]:
    """Incidents that speak for themselves, newest first; one more than asked for.

    Open are those for which any that they speak for is.
    """
    if search.is_open is None:
        places = find_newest(session, [_LEADING, _LED], search)
    elif search.is_open:
        places = find_newest(session, [_LEADING], search)
        places += find_newest(session, [_still_spoken_for(places, search)], search)
    else:
        places = find_newest(session, [(*_LED, ~_speaks_for_open())], search)
    return list_newest(session, places, search)


_LEADING: Kind = (IS_OPEN, Incident.parent_id.is_(None))
_LED: Kind = (IS_CLOSED, Incident.parent_id.is_(None))


def _still_spoken_for(leading: Sequence[Place], search: IncidentSearch) -> Kind:
    """Leaders that are over while others that they speak for are not."""
    child = aliased(Incident)
    if len(leading) <= search.limit:
        open_parents = select(child.parent_id).where(
            child.closed_at.is_(None), child.parent_id.is_not(None)
        )
        return (*_LED, Incident.id.in_(open_parents))
    # Only those among the open ones are shown: of a storm not all are looked through.
    opened_at, _ = min(leading)
    return (*_LED, Incident.opened_at >= opened_at, _speaks_for_open())


def _speaks_for_open() -> ColumnElement[bool]:
    child = aliased(Incident)
    return exists().where(child.parent_id == Incident.id, child.closed_at.is_(None))


def list_gathered(
    session: Session, *, leader_ids: Collection[int]
) -> Mapping[int, Gathered]:
    """What incidents speak for; those that speak for themselves alone are left out."""
    if not leader_ids:
        return {}
    crowds = _sample_crowds(session, leader_ids)
    is_member = _is_member(session, leader_ids, crowds)
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
        .where(or_(id_in(session, Incident.id, leader_ids), is_member))
        .group_by(leader)
        .having(func.count() > 1),
    )
    children = _list_first_children(session, is_member)
    return {
        id_: Gathered(
            count=count,
            open_count=open_count,
            website_count=website_count,
            severity=severity_of(worst),
            closed_at=None if open_count else _last(crowds.get(id_), closed_at),
            children=children[id_],
            is_crowd=id_ in crowds,
        )
        for id_, count, open_count, website_count, worst, closed_at in rows
    }


CROWD = 1_000
"""Of more incidents under one, only so many are looked at for a list."""


@dataclass(frozen=True, slots=True)
class _Crowd:
    """What is looked at of the incidents that one speaks for: what is open first."""

    ids: Sequence[int]
    closed_at: datetime | None
    """When the last of all ended, as far as they have."""


def _last(crowd: _Crowd | None, closed_at: datetime | None) -> datetime | None:
    ends = [closed_at, crowd.closed_at if crowd else None]
    return max((end for end in ends if end is not None), default=None)


def _sample_crowds(
    session: Session, leader_ids: Collection[int]
) -> Mapping[int, _Crowd]:
    """Those of the leaders that speak for very many."""
    which, parameters = id_list(session, list(leader_ids))
    sizes = run(session, _SIZES.format(which=which, crowd=CROWD), parameters)
    return {id_: _sample(session, id_) for id_, size in sizes if size > CROWD}


_SIZES = """
SELECT l.id, (SELECT count(*) FROM (
  SELECT 1 FROM incidents c WHERE c.parent_id = l.id LIMIT {crowd} + 1) AS seen)
FROM incidents l WHERE l.id {which}
"""


def _sample(session: Session, parent_id: int) -> _Crowd:
    ids: list[int] = []
    for condition in (IS_OPEN, IS_CLOSED):
        statement = select(Incident.id).where(
            Incident.parent_id == parent_id, condition
        )
        ids += session.scalars(statement.limit(CROWD - len(ids)))
    closed_at = session.scalar(
        select(func.max(Incident.closed_at)).where(Incident.parent_id == parent_id)
    )
    return _Crowd(ids, closed_at)


def _is_member(
    session: Session, leader_ids: Collection[int], crowds: Mapping[int, _Crowd]
) -> ColumnElement[bool]:
    """Which incidents under some leaders are looked at."""
    others = [id_ for id_ in leader_ids if id_ not in crowds]
    is_member = id_in(session, Incident.parent_id, others)
    if not crowds:
        return is_member
    sampled = [id_ for crowd in crowds.values() for id_ in crowd.ids]
    return or_(is_member, id_in(session, Incident.id, sampled))


def count_children(session: Session, *, parent_id: int) -> int:
    """How many others an incident speaks for; `CROWD` + 1: more than `CROWD`."""
    which, parameters = id_list(session, [parent_id])
    rows = run(session, _SIZES.format(which=which, crowd=CROWD), parameters)
    return sum(size for _, size in rows)


def list_children(
    session: Session,
    *,
    parent_id: int,
    before: Place | None = None,
    limit: int = 500,
) -> Sequence[IncidentRow]:
    """The incidents that an incident speaks for, the newest first.

    One more than asked for tells of others.
    """
    search = IncidentSearch(before=before, limit=limit)
    places = find_newest(session, [(Incident.parent_id == parent_id,)], search)
    return list_newest(session, places, search)


def _list_first_children(
    session: Session, is_member: ColumnElement[bool]
) -> Mapping[int, Sequence[IncidentRow]]:
    place = func.row_number().over(
        partition_by=Incident.parent_id,
        order_by=(Incident.closed_at.is_not(None), Incident.opened_at, Incident.id),
    )
    ranked = select(Incident.id, place.label("place")).where(is_member).subquery()
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
