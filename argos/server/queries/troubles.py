"""What is going on: the open incidents, website by website."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select, union_all
from sqlalchemy.orm import Session

from argos.channels import recipient_name
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


STORM = 1_000
"""Of more open incidents of one severity only the newest are looked at for cards."""


MANY_OPEN = 10_000


def count_open_incidents(session: Session) -> tuple[int, int | None]:
    """How many incidents are open, on how many websites; of very many that is left out.

    The incidents of a task end when it is archived.
    """
    is_open = Incident.closed_at.is_(None)
    count = session.scalar(select(func.count()).where(is_open)) or 0
    if count > MANY_OPEN:
        return count, None
    websites = session.scalar(
        select(func.count(Task.website_id.distinct()))
        .join(Incident, Incident.task_id == Task.id)
        .where(is_open)
    )
    return count, websites or 0


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
