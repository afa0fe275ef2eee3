"""A recipient at a Gotify server, notices for them, and who sends these."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from argos.channels import expand_recipient
from argos.core.incident import EventKind
from argos.core.severity import Severity, Status
from argos.server.models import (
    Delivery,
    Event,
    Incident,
)
from argos.server.queries import deliveries as queries, lanes
from argos.server.services.dispatch import (
    CLAIM_INTERVAL,
    Means,
)
from tests.server.factories import add_group, task_ids


@pytest.fixture
def config(make_loaded, gotify):
    return make_loaded(general__gotify=[{"url": gotify.url, "tokens": ["a"]}]).config


@pytest.fixture
def means(database, clock, config) -> Means:
    return Means(
        database=database,
        clock=clock,
        rng=Random(1),
        get_config=lambda: config,
        holder="server 1",
    )


@pytest.fixture
def recipient(config) -> str:
    """The one application of the Gotify server."""
    (name,) = expand_recipient("gotify", config.general)
    return name


@pytest.fixture
def add(database, clock, recipient) -> Callable[..., int]:
    """Adds an event of a task with a delivery; returns the delivery's id."""
    tasks: dict[str, int] = {}

    def add(
        site: str = "a",
        kind: EventKind = EventKind.OPENED,
        to: str = recipient,
    ) -> int:
        with database.transaction() as session:
            if site not in tasks:
                group = add_group(session, site, due_at=clock.now)
                (tasks[site],) = task_ids(session, group.id)
            incident = Incident(
                task_id=tasks[site],
                opened_at=clock.now - timedelta(minutes=5),
                severity=Severity.CRITICAL,
                closed_at=clock.now,
            )
            session.add(incident)
            session.flush()
            count = len(session.scalars(select(Event.id)).all())
            is_closed = kind is EventKind.CLOSED
            event = Event(
                task_id=tasks[site],
                seq=count + 1,
                incident_id=incident.id,
                kind=kind,
                at=clock.now,
                severity=Severity.OK if is_closed else Severity.CRITICAL,
                previous_severity=Severity.CRITICAL if is_closed else Severity.OK,
                reason="confirmed",
                status=Status.SUCCESS if is_closed else Status.FAILURE,
                agent_id="anna",
                facts={"reason": "status 500"},
            )
            session.add(event)
            session.flush()
            delivery = Delivery(
                event_id=event.id,
                recipient=to,
                created_at=clock.now,
                due_at=clock.now,
                message_id=f"m{event.id}.{to}",
            )
            session.add(delivery)
            session.flush()
            return delivery.id

    return add


@pytest.fixture
def get(database) -> Callable[[int], Delivery]:
    def get(id_: int) -> Any:
        with database.reading() as session:
            return session.get_one(Delivery, id_)

    return get


@pytest.fixture
def claim(database, clock, recipient) -> Callable[..., Any]:
    """Claims the next message, as a server does before it sends."""

    def claim(holder: str) -> queries.Claim:
        with database.transaction() as session:
            queries.lock_target(session, recipient=recipient)
            batch_id = lanes.find_due_message(
                session, recipient=recipient, now=clock.now
            )
            if batch_id is None:
                pending = lanes.list_pending(
                    session, recipient=recipient, now=clock.now, limit=10
                )
                batch_id = pending[0].message_id
                ids = [one.id for one in pending]
                queries.put_into_message(session, ids=ids, batch_id=batch_id)
            return queries.claim_message(
                session,
                batch_id=batch_id,
                recipient=recipient,
                holder=holder,
                until=clock.now + CLAIM_INTERVAL,
            )

    return claim
