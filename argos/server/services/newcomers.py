"""Whoever is new in the config hears of what is open, as if they had been in it before.

That is somebody in `alerts`, in a route or in a website's own lists. Nothing is told twice:
for each incident it is looked for whom there are notices already. What was given up, as for
somebody who was away from the config, is tried again; so is the end of what they heard of,
for a day.
"""

import hashlib
import logging
from collections.abc import Mapping
from datetime import timedelta

from argos.channels import list_setups
from argos.core.incident import EventKind
from argos.core.matching import Subject
from argos.core.routing import recipients
from argos.server.database import Session
from argos.server.queries import (
    deliveries as delivery_queries,
    newcomers as queries,
    results,
    silences,
    sync,
)
from argos.server.queries.deliveries import NewDelivery
from argos.server.queries.delivery_list import retry_dead
from argos.server.queries.newcomers import OpenMatter
from argos.server.queries.results import TaskRow
from argos.server.services import held
from argos.server.services.held import BY_SPEAKER, Planned
from argos.server.services.publish import message_id, routing_of, targets_of
from argos.server.services.upkeep import Work

log = logging.getLogger(__name__)

CHUNK_ROWS = 1_000
LATE_END = timedelta(days=1)
"""The end of a problem is news for as long as a notice is tried."""


def tell_newcomers(work: Work) -> None:
    """When lists of recipients have changed: tell who would be told, and never was."""
    lists = _digest_lists(work)
    note = work.note or {}
    after = note.get("after") if note.get("lists") == lists else 0
    count = 0
    if after == 0:
        with work.transaction() as session:
            count = _tell_ends(session, work)
    while after is not None and not work.is_over:
        with work.transaction() as session:
            places = queries.list_open(session, after_id=after, count=CHUNK_ROWS)
            count += _tell(session, dict(places), work)
            after = places[-1][0] if len(places) == CHUNK_ROWS else None
            work.note = {"lists": lists, "after": after}
    work.wants_more = after is not None
    if count:
        log.info("%s notices go to who is new in the config, or back in it.", count)


def _tell_ends(session: Session, work: Work) -> int:
    """Try once more to tell who is back in the config how it ended, meanwhile."""
    setups = list_setups(work.config.general).values()
    ends = queries.list_untold_ends(
        session,
        recipients=[target for setup in setups for target in setup.recipients],
        since=work.now - LATE_END,
    )
    return retry_dead(session, now=work.now, ids=ends)


def _digest_lists(work: Work) -> str:
    """Names all that decides who is told."""
    general = work.config.general
    with work.database.reading() as session:
        websites = sync.get_config_cache(session).get("websites_hash")
    setups = [setup.recipients for setup in list_setups(general).values()]
    lists = (websites, general.alerts.by_severity, general.routes, setups)
    return hashlib.blake2b(repr(lists).encode(), digest_size=16).hexdigest()


def _tell(session: Session, task_ids: Mapping[int, int], work: Work) -> int:
    tasks = results.lock_tasks(session, ids=sorted(task_ids.values()))
    matters = queries.list_matters(session, incident_ids=task_ids)
    addressed = queries.list_addressed(session, incident_ids=task_ids)
    subjects = (
        silences.list_subjects(session, task_ids=list(tasks))
        if work.config.general.routes
        else {}
    )
    loud: list[Planned] = []
    silent: list[Planned] = []
    for matter in matters:
        known = addressed.get(matter.incident_id, {})
        task = tasks[matter.task_id]
        planned = [
            _plan(matter, recipient, work)
            for recipient in _recipients(matter, task, subjects.get(task.id), work)
            if recipient not in known
        ]
        (loud if any(known.values()) else silent).extend(planned)
    deliveries = held.keep_back(session, loud, config=work.config, now=work.now)
    # What others do not hear of either waits for the same; `let_go` looks for what.
    deliveries += [
        one.delivery._replace(held_until=work.now, held_by=BY_SPEAKER) for one in silent
    ]
    dead = queries.list_dead(
        session, message_ids=[one.message_id for one in deliveries]
    )
    retry_dead(session, now=work.now, ids=dead)
    delivery_queries.add_deliveries(session, deliveries=deliveries)
    return len(deliveries)


def _recipients(
    matter: OpenMatter, task: TaskRow, subject: Subject | None, work: Work
) -> list[str]:
    """Who would be told of an incident if it began now."""
    routing = routing_of(task, subject, work.config)
    names = recipients(EventKind.OPENED, matter.severity, routing)
    return targets_of(names, work.config)


def _plan(matter: OpenMatter, recipient: str, work: Work) -> Planned:
    return Planned(
        NewDelivery(
            event_id=matter.event_id,
            notice=None,
            recipient=recipient,
            created_at=work.now,
            message_id=message_id(matter.task_id, matter.seq, matter.at, recipient),
        ),
        matter.incident_id,
        matter.task_id,
        EventKind.OPENED,
        matter.severity,
    )
