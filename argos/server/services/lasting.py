"""Problems that last: people are reminded, and others told when nobody acknowledges."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from argos.channels import list_setups
from argos.core.escalation import EscalationStep, Progress, due_steps, is_reminder_due
from argos.core.incident import EventKind, Reason
from argos.core.severity import Severity, Status
from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries import (
    deliveries as delivery_queries,
    incidents,
    lasting as queries,
    results,
    states,
)
from argos.server.queries.deliveries import NewDelivery
from argos.server.queries.incidents import NewEvent
from argos.server.queries.lasting import LastingIncident
from argos.server.queries.results import TaskRow
from argos.server.services import held
from argos.server.services.held import Planned
from argos.server.services.publish import message_id, targets_of
from argos.server.services.upkeep import Work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _News:
    """What is to be said of an incident that goes on."""

    incident: LastingIncident
    reason: Reason
    steps: Sequence[EscalationStep]
    recipients: Sequence[str]


def tell_lasting(work: Work) -> None:
    """Remind of what lasts, and make the steps of the escalation that have come."""
    config = work.config
    intervals = _reminder_intervals(config)
    if not intervals and not config.general.escalation:
        return
    with work.transaction() as session:
        found = queries.list_lasting(session)
        told = _list_told(session, found, work.config)
        speakers = {one.id: one for one in found if one.leader_id is None}
        first = [
            news
            for one in speakers.values()
            if (news := _news(one, told.get(one.id, ()), work, intervals))
        ]
        loud = _tell(session, first, work)
    silent = {news.incident.id for news in first} - loud
    speaking = {id_: told.get(id_, ()) for id_ in set(speakers) - silent}
    others = [
        news
        for one in found
        if one.leader_id is not None
        and (news := _news_of_part(one, told, speaking, work, intervals))
    ]
    if others:
        with work.transaction() as session:
            loud |= _tell(session, others, work)
    count = len(loud)
    if count:
        log.info("Told again of %s incidents that last.", count)


def _list_told(
    session: Session, found: Sequence[LastingIncident], config: Config
) -> dict[int, list[str]]:
    """By incident, who was told of it, and is still in the config."""
    setups = list_setups(config.general).values()
    known = {recipient for setup in setups for recipient in setup.recipients}
    told = incidents.list_told_recipients(
        session, incident_ids=[one.id for one in found]
    )
    return {
        id_: [name for name in recipients if name in known]
        for id_, recipients in told.items()
    }


def _reminder_intervals(config: Config) -> dict[str | None, timedelta]:
    """By website; under None that of all others."""
    intervals: dict[str | None, timedelta] = {
        website.domain: website.remind_every
        for website in config.websites
        if website.remind_every is not None
    }
    if config.general.remind_every is not None:
        intervals[None] = config.general.remind_every
    return intervals


def _news(
    incident: LastingIncident,
    told: Sequence[str],
    work: Work,
    intervals: dict[str | None, timedelta],
) -> _News | None:
    steps = due_steps(
        work.config.general.escalation, _progress(incident, work), now=work.now
    )
    if steps:
        names = [name for step in steps for name in step.recipients]
        recipients = targets_of(names, work.config)
        return _News(incident, Reason.ESCALATED, steps, recipients)
    return _reminder(incident, told, work, intervals)


def _news_of_part(
    part: LastingIncident,
    told: Mapping[int, Sequence[str]],
    speaking: Mapping[int, Sequence[str]],
    work: Work,
    intervals: dict[str | None, timedelta],
) -> _News | None:
    """What is to be said of what is gathered under another incident, if anything.

    Whoever heard of the one that speaks for it is reminded of that one.
    """
    hearers = told.get(part.id, ())
    if part.leader_id is None or part.leader_id not in speaking:
        return _news(part, hearers, work, intervals)
    rest = [name for name in hearers if name not in speaking[part.leader_id]]
    return _reminder(part, rest, work, intervals) if rest else None


def _reminder(
    incident: LastingIncident,
    told: Sequence[str],
    work: Work,
    intervals: dict[str | None, timedelta],
) -> _News | None:
    interval = intervals.get(incident.domain, intervals.get(None))
    if is_reminder_due(interval, _progress(incident, work), now=work.now):
        return _News(incident, Reason.REMINDED, (), told)
    return None


def _progress(incident: LastingIncident, work: Work) -> Progress:
    return Progress(
        told_at=incident.told_at,
        last_told_at=incident.last_told_at,
        steps_done=incident.steps_told,
        is_acknowledged=incident.is_acknowledged(work.now),
    )


def _tell(session: Session, news: Sequence[_News], work: Work) -> set[int]:
    """Tell what nothing keeps back; return of which incidents that was."""
    tasks = results.lock_tasks(
        session, ids=sorted({one.incident.task_id for one in news})
    )
    # What has ended since, or is silent now, is not told.
    news = [
        one
        for one in news
        if (task := tasks.get(one.incident.task_id))
        and task.told_severity is not Severity.OK
    ]
    planned = {
        one.incident.id: _plan(one, tasks[one.incident.task_id], work) for one in news
    }
    free = held.keep_back(
        session,
        [each for plans in planned.values() for each in plans],
        config=work.config,
        now=work.now,
    )
    loud = {delivery.message_id for delivery in free if delivery.held_until is None}
    news = [
        one
        for one in news
        if any(each.delivery.message_id in loud for each in planned[one.incident.id])
    ]
    _write(session, news, planned, tasks, work)
    return {one.incident.id for one in news}


def _plan(news: _News, task: TaskRow, work: Work) -> list[Planned]:
    return [
        Planned(
            NewDelivery(
                event_id=None,
                notice=None,
                recipient=recipient,
                created_at=work.now,
                message_id=message_id(
                    task.id, task.event_count + 1, work.now, recipient
                ),
            ),
            news.incident.id,
            task.id,
            EventKind.LASTING,
            news.incident.severity,
        )
        for recipient in news.recipients
    ]


def _write(
    session: Session,
    news: Sequence[_News],
    planned: dict[int, list[Planned]],
    tasks: dict[int, TaskRow],
    work: Work,
) -> None:
    task_ids = [one.incident.task_id for one in news]
    facts = states.list_last_facts(session, ids=task_ids)
    event_ids = incidents.add_events(
        session,
        events=[
            NewEvent(
                task_id=task.id,
                seq=task.event_count + 1,
                incident_id=one.incident.id,
                kind=EventKind.LASTING,
                at=work.now,
                severity=one.incident.severity,
                previous_severity=one.incident.severity,
                reason=one.reason.value,
                status=task.last_status or Status.ERROR,
                agent_id=None,
                facts=json.dumps(facts.get(task.id, {})),
            )
            for one, task in zip(news, [tasks[id_] for id_ in task_ids], strict=True)
        ],
    )
    queries.note_events(session, task_ids=task_ids)
    for one in news:
        if one.steps:
            steps = one.incident.steps_told + len(one.steps)
            queries.note_step(session, incident_ids=[one.incident.id], steps=steps)
    delivery_queries.add_deliveries(
        session,
        deliveries=[
            each.delivery._replace(
                event_id=event_ids[each.task_id, tasks[each.task_id].event_count + 1]
            )
            for one in news
            for each in planned[one.incident.id]
        ],
    )
