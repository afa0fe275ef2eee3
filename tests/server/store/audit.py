"""Decides whether what a database holds may have come to be; by the promises' names.

It compares three accounts of the same story: what agents and recipients were told (the
book), what triggers noted of the queue (the ledger), and what the tables hold in the end.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from argos.channels import recipient_name
from argos.core import rollup
from argos.core.incident import EventKind, Outcome, Patience, TaskState, advance
from argos.core.rollup import Kind
from argos.core.severity import Severity
from argos.server.database import Session
from argos.server.models import Delivery, DeliveryState, Event, Incident, Result, Task
from argos.server.plan import wanted_tasks
from argos.server.queries.sync import get_config_cache
from tests.server.recount import read_kinds
from tests.server.store.ledger import (
    Entry,
    double_claims,
    double_leases,
    holders,
    read_ledger,
)
from tests.server.store.variants import RECIPIENTS, RETRIES, STEADY
from tests.server.store.world import MAX_AGE, Book, World


class _Move(NamedTuple):
    """A result that moved its task."""

    lease_no: int
    at: datetime
    severity: Severity
    agent: str | None


_OPENINGS = {EventKind.OPENED, EventKind.FLAPPING}


@dataclass
class Account:
    """All that is looked at."""

    book: Book
    ledger: list[Entry]
    tasks: list[Task]
    results: list[Result]
    events: list[Event]
    incidents: list[Incident]
    deliveries: list[Delivery]
    counted: Counter[tuple[int, int, Kind]]
    cache: dict[str, str]
    world: World


def faults(world: World) -> list[str]:
    """What the world's database holds that it should not; empty when all is well."""
    with world.database.reading() as session:
        account = _read(session, world)
    return [
        *world.book.faults,
        *(text for check in CHECKS for text in check(account)),
    ]


def _read(session: Session, world: World) -> Account:
    return Account(
        book=world.book,
        ledger=read_ledger(session),
        tasks=list(session.scalars(select(Task).order_by(Task.id))),
        results=list(session.scalars(select(Result))),
        events=list(session.scalars(select(Event).order_by(Event.task_id, Event.seq))),
        incidents=list(session.scalars(select(Incident))),
        deliveries=list(session.scalars(select(Delivery).order_by(Delivery.id))),
        counted=read_kinds(session),
        cache=get_config_cache(session),
        world=world,
    )


def no_double_lease(account: Account) -> Iterable[str]:
    return double_leases(account.ledger)


def each_accepted_result_is_stored_once(account: Account) -> Iterator[str]:
    stored = {(row.task_id, row.submitted_at): row.id for row in account.results}
    oldest = account.world.clock.utcnow() - MAX_AGE
    for key, accepted in account.book.accepted.items():
        if key[1] >= oldest and stored.get(key) != accepted.id:
            yield f"I-10: {key} was accepted as {accepted.id}, is {stored.get(key)}"
    if len(stored) != len(account.results):
        yield "I-11: a result is stored twice"
    for key in stored.keys() - account.book.accepted.keys():
        yield f"I-11: nobody reported {key}"


def each_run_moves_a_task_once(account: Account) -> Iterator[str]:
    runs = Counter(
        (task_id, accepted.group_id, accepted.lease_no)
        for (task_id, _), accepted in account.book.accepted.items()
        if not accepted.is_late
    )
    for run, count in runs.items():
        if count > 1:
            yield f"I-11: {run} moved its task {count} times"


def only_the_holder_moves_a_task(account: Account) -> Iterator[str]:
    who = holders(account.ledger)
    for (task_id, _), accepted in account.book.accepted.items():
        held_by = who[accepted.group_id, accepted.lease_no]
        if not accepted.is_late and accepted.agent not in held_by:
            yield f"I-15: {accepted} of task {task_id}, which {held_by} held"


def rollups_are_the_recount(account: Account) -> Iterator[str]:
    raw: Counter[tuple[int, int, Kind]] = Counter()
    for (task_id, moment), accepted in account.book.accepted.items():
        raw[task_id, rollup.hour_of(moment), Kind.of(accepted.severity)] += 1
    for key in sorted(raw.keys() | account.counted.keys()):
        if raw[key] != account.counted[key]:
            yield f"rollups: {key} is {account.counted[key]}, not {raw[key]}"


def the_story_is_that_of_the_results(account: Account) -> Iterator[str]:
    """Replay what moved the tasks that were never archived."""
    moves: dict[int, list[_Move]] = defaultdict(list)
    for (task_id, moment), accepted in account.book.accepted.items():
        if not accepted.is_late:
            moves[task_id].append(
                _Move(accepted.lease_no, moment, accepted.severity, accepted.agent)
            )
    events = _events_by_task(account)
    for task in _steady(account):
        told, wanted = _replay(sorted(moves[task.id]))
        found = [(event.kind, event.at, event.severity) for event in events[task.id]]
        if found != wanted:
            yield f"I-20: {task} has {found}, not {wanted}"
        if task.told_severity is not told:
            yield f"I-20: {task} has told {task.told_severity}, not {told}"
        if moves[task.id] and task.severity is not max(moves[task.id]).severity:
            yield f"I-13: {task} is {task.severity}"


def _replay(
    moves: list[_Move],
) -> tuple[Severity, list[tuple[EventKind, datetime, Severity]]]:
    """What is told in the end, and the events until then."""
    state, events = TaskState(), []
    for _, moment, severity, agent in moves:
        outcome = Outcome(severity, moment, agent=agent)
        step = advance(state, outcome, Patience(retries=RETRIES))
        state = step.state
        if step.event is not None:
            events.append((step.event, moment, severity))
    return state.told, events


def events_are_numbered_and_paired(account: Account) -> Iterator[str]:
    events = _events_by_task(account)
    for task in account.tasks:
        numbers = [event.seq for event in events[task.id]]
        if numbers != list(range(1, task.event_count + 1)):
            yield f"I-21: {task} has {task.event_count} events: {numbers}"
    for task in _steady(account):
        is_open = False
        for event in events[task.id]:
            if (event.kind in _OPENINGS) is is_open:
                yield f"I-22: {event.kind} of {task} while open is {is_open}"
            is_open = event.kind is not EventKind.CLOSED
        open_count = sum(
            incident.task_id == task.id and incident.closed_at is None
            for incident in account.incidents
        )
        if open_count != is_open:
            yield f"I-22: {task} has {open_count} open incidents, not {is_open:d}"


def each_event_goes_to_each_recipient(account: Account) -> Iterator[str]:
    found = defaultdict(list)
    for delivery in account.deliveries:
        if delivery.event_id is not None:
            found[delivery.event_id].append(recipient_name(delivery.recipient))
    for event in account.events:
        # Of the end of what nobody was told, nobody is told.
        is_silent = event.kind is EventKind.CLOSED and not found[event.id]
        if sorted(found[event.id]) != sorted(RECIPIENTS) and not is_silent:
            yield f"I-21: event {event.id} goes to {found[event.id]}"


def no_message_is_claimed_twice(account: Account) -> Iterable[str]:
    return double_claims(account.ledger)


def sent_means_sent_and_once(account: Account) -> Iterator[str]:
    """Marked sent only after it was; sent no more often than it was tried."""
    counts = Counter(
        (sent.batch_id, recipient_name(sent.recipient)) for sent in account.book.sent
    )
    for delivery in account.deliveries:
        count = counts[delivery.batch_id or "", recipient_name(delivery.recipient)]
        if delivery.dropped_at is not None:
            continue  # it was kept back until it was no news any more
        if delivery.state is not DeliveryState.SENT:
            yield f"I-24: delivery {delivery.id} is {delivery.state} in the end"
        elif not count:
            yield f"I-25: delivery {delivery.id} was marked and never sent"
        if count > delivery.attempts:
            yield f"I-25: {delivery.id} was sent {count} times, tried {delivery.attempts}"


def one_config_is_in_force(account: Account) -> Iterator[str]:
    digest = account.cache["websites_hash"]
    [loaded] = [one for one in account.world.variants if one.digest == digest]
    wanted = {
        (task.url, task.check, task.attributes.frequency)
        for task in wanted_tasks(loaded.config).tasks.values()
    }
    found = {
        (task.url, task.check, task.frequency)
        for task in account.tasks
        if task.archived_at is None
    }
    if found != wanted:
        yield f"I-51: missing {wanted - found}, left {found - wanted}"


CHECKS = (
    no_double_lease,
    each_accepted_result_is_stored_once,
    each_run_moves_a_task_once,
    only_the_holder_moves_a_task,
    rollups_are_the_recount,
    the_story_is_that_of_the_results,
    events_are_numbered_and_paired,
    each_event_goes_to_each_recipient,
    no_message_is_claimed_twice,
    sent_means_sent_and_once,
    one_config_is_in_force,
)


def _events_by_task(account: Account) -> dict[int, list[Event]]:
    found = defaultdict(list)
    for event in account.events:
        found[event.task_id].append(event)
    return found


def _steady(account: Account) -> list[Task]:
    """The tasks that no config leaves out: their story has no gap."""
    return [
        task
        for task in account.tasks
        if task.check == "status-is"
        and task.url.removeprefix("https://").partition(".")[0] in STEADY
    ]
