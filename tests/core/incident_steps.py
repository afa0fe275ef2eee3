"""Sequences of results, and what `advance` makes of them."""

from datetime import UTC, datetime, timedelta

from argos.core.incident import (
    EventKind,
    Outcome,
    Patience,
    TaskState,
    advance,
)
from argos.core.severity import Severity

START = datetime(2026, 1, 1, tzinfo=UTC)


OK, WARNING = Severity.OK, Severity.WARNING


CRITICAL, UNKNOWN = Severity.CRITICAL, Severity.UNKNOWN


OPENED, WORSENED = EventKind.OPENED, EventKind.WORSENED


CLOSED, FLAPPING = EventKind.CLOSED, EventKind.FLAPPING


STEADY = EventKind.STEADY


def run(severities, *, agents="a", **settings):
    """The steps that a sequence of results makes, a minute apart.

    `agents` are the agents' names, a letter each, over and over.
    """
    state, steps = TaskState(), []
    patience = Patience(**settings)
    for minute, severity in enumerate(severities):
        agent = agents[minute % len(agents)]
        outcome = Outcome(severity, START + timedelta(minutes=minute), agent)
        steps.append(advance(state, outcome, patience))
        state = steps[-1].state
    return steps


def events(severities, **settings):
    return [step.event for step in run(severities, **settings)]


def reasons(severities, **settings):
    return [step.reason for step in run(severities, **settings)]


def doubted(state, agent="a"):
    outcome = Outcome(UNKNOWN, START, agent, is_doubted=True)
    return advance(state, outcome, Patience(asks_another=True))
