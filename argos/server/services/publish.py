"""Turn changes of tasks into incidents, events and deliveries: the outbox."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from argos.channels import expand_recipient
from argos.core.incident import EventKind
from argos.core.matching import Subject
from argos.core.routing import RouteRule, RoutingRules, recipients
from argos.core.severity import Severity
from argos.schemas import Config
from argos.server.columns import to_epoch_us
from argos.server.database import Session
from argos.server.queries import (
    deliveries as delivery_queries,
    incidents as queries,
    silences,
)
from argos.server.queries.deliveries import NewDelivery
from argos.server.queries.held import list_hearers
from argos.server.queries.incidents import IncidentMove, NewEvent, OpenIncident
from argos.server.queries.results import TaskRow
from argos.server.services import held
from argos.server.services.change import Change
from argos.server.services.gathering import Gathering, Place, hold_recoveries
from argos.server.services.held import Planned


def publish(
    session: Session, *, changes: Sequence[Change], config: Config, now: datetime
) -> None:
    """Store the events of some changes, and who is to hear of each."""
    if not changes:
        return
    places = _open_incidents(session, changes, config, now)
    incident_ids = {task_id: place.incident_id for task_id, place in places.items()}
    event_ids = queries.add_events(
        session,
        events=[_new_event(change, incident_ids[change.task.id]) for change in changes],
    )
    closed_ids = [
        incident_ids[change.task.id]
        for change in changes
        if change.kind is EventKind.CLOSED
    ]
    # Before it is asked who was told: what is dropped here, nobody was.
    unheard = held.drop_outdated(
        session, incident_ids=list(incident_ids.values()), now=now
    )
    told = queries.list_told_recipients(session, incident_ids=closed_ids)
    subjects = (
        silences.list_subjects(session, task_ids=[change.task.id for change in changes])
        if config.general.routes
        else {}
    )
    planned = []
    for change in changes:
        task_id, incident_id = change.task.id, incident_ids[change.task.id]
        names = recipients(
            change.kind,
            change.move.severity,
            routing_of(change.task, subjects.get(task_id), config),
            already_told=told.get(incident_id, ()),
        )
        event_id = event_ids[task_id, change.move.event_count]
        planned += [
            Planned(
                _new_delivery(change, recipient, event_id=event_id, now=now),
                incident_id,
                task_id,
                change.kind,
                change.incident_severity,
            )
            for recipient in targets_of(names, config)
        ]
    news = [one for one in planned if held.is_news(one, unheard, told)]
    free = held.keep_back(session, news, config=config, now=now)
    silent = {place.incident_id for place in places.values() if place.is_silent}
    loud = held.leave_to_speakers(news, free, silent=silent, unheard=unheard, now=now)
    told_later = _told_later(session, changes, places, now=now)
    delivery_queries.add_deliveries(
        session, deliveries=_hold(session, news, loud, told_later)
    )


def _new_delivery(
    change: Change, recipient: str, *, event_id: int, now: datetime
) -> NewDelivery:
    seq, at = change.move.event_count, change.move.completed_at
    return NewDelivery(
        event_id=event_id,
        notice=None,
        recipient=recipient,
        created_at=now,
        message_id=message_id(change.task.id, seq, at, recipient),
    )


def _open_incidents(
    session: Session, changes: Sequence[Change], config: Config, now: datetime
) -> dict[int, Place]:
    """Open, move or close each change's incident; return the places by task."""
    present = queries.list_open_incidents(
        session, task_ids=[change.task.id for change in changes]
    )
    gathering = Gathering(session, config, now)
    places = gathering.open([
        change for change in changes if change.task.id not in present
    ])
    places |= {
        task_id: Place(incident.id, is_silent=incident.parent_id is not None)
        for task_id, incident in present.items()
    }
    queries.move_incidents(
        session,
        moves=[
            IncidentMove(
                id=places[change.task.id].incident_id,
                severity=_worst_severity(change, present.get(change.task.id)),
                closed_at=change.move.completed_at
                if change.kind is EventKind.CLOSED
                else None,
            )
            for change in changes
            if change.kind is not EventKind.OPENED
        ],
    )
    return places


def _worst_severity(change: Change, incident: OpenIncident | None) -> Severity:
    """The most urgent of all that was told of an incident."""
    known = change.incident_severity if incident is None else incident.severity
    return max(known, change.incident_severity, key=lambda severity: severity.urgency)


class _Later(NamedTuple):
    """From when on an incident's news is told, if that is together with others."""

    until: datetime
    speaker: int | None
    """Who never heard of this one hears of it at once; None: everybody waits."""


def _told_later(
    session: Session,
    changes: Sequence[Change],
    places: Mapping[int, Place],
    *,
    now: datetime,
) -> dict[int, _Later]:
    """By incident: what waits."""
    closed = [
        (places[change.task.id].incident_id, change)
        for change in changes
        if change.kind is EventKind.CLOSED
    ]
    recoveries = hold_recoveries(session, closed=closed, now=now) if closed else {}
    later = {id_: _Later(until, None) for id_, until in recoveries.items()}
    for change in changes:
        place = places[change.task.id]
        if change.kind is not EventKind.CLOSED and place.held_until is not None:
            later[place.incident_id] = _Later(place.held_until, place.held_for)
    return later


def _hold(
    session: Session,
    news: Sequence[Planned],
    deliveries: Sequence[NewDelivery],
    told_later: Mapping[int, _Later],
) -> list[NewDelivery]:
    """The deliveries of some news, those put off that are told together with others."""
    speakers = {later.speaker for later in told_later.values()} - {None}
    hearers = list_hearers(session, incident_ids={id_ for id_ in speakers if id_})
    pairs = list(zip(news, deliveries, strict=True))
    for one, delivery in pairs:
        if one.incident_id in speakers and delivery.held_until is None:
            hearers.setdefault(one.incident_id, set()).add(delivery.recipient)
    return [
        delivery._replace(due_at=later.until)
        if (later := told_later.get(one.incident_id)) is not None
        and delivery.held_until is None
        and (
            later.speaker is None
            or delivery.recipient in hearers.get(later.speaker, ())
        )
        else delivery
        for one, delivery in pairs
    ]


def _new_event(change: Change, incident_id: int) -> NewEvent:
    return NewEvent(
        task_id=change.task.id,
        seq=change.move.event_count,
        incident_id=incident_id,
        kind=change.kind,
        at=change.move.completed_at,
        severity=change.move.severity,
        previous_severity=_previous_severity(change),
        reason=change.step.reason.value,
        status=change.move.last_status,
        agent_id=change.agent,
        facts=change.facts,
    )


def _previous_severity(change: Change) -> Severity:
    """What people knew; failures before a problem is told are no news to them."""
    was_ever_measured = change.task.completed_at is not None
    return change.task.told_severity if was_ever_measured else change.task.severity


def message_id(task_id: int, seq: int, at: datetime, recipient: str) -> str:
    """The same for the same event and recipient, whoever computes it."""
    digest = hashlib.blake2b(recipient.encode(), digest_size=6).hexdigest()
    return f"{task_id}.{seq}.{to_epoch_us(at)}.{digest}"


def targets_of(names: Sequence[str], config: Config) -> list[str]:
    """The single targets of some recipients, each once."""
    return list(
        dict.fromkeys(
            target
            for name in names
            for target in expand_recipient(name, config.general)
        )
    )


def routing_of(task: TaskRow, subject: Subject | None, config: Config) -> RoutingRules:
    """Who hears of what, as the config has it for a task."""
    overwritten = task.overwrite_alerts_recipients
    routes = [
        route
        for route in config.general.routes
        if subject is not None and route.match.matches(subject)
    ]
    return RoutingRules(
        by_severity=config.general.alerts.by_severity,
        routes=[
            RouteRule(route.recipients, route.severities, route.exclusive)
            for route in routes
        ],
        added=json.loads(task.add_alerts_recipients or "[]"),
        overwritten=None if overwritten is None else json.loads(overwritten),
    )
