"""From results to incidents: what changed, whether people are told, and why.

`advance` is the one rule. Published state is a pure function of the ordered results
and the task's settings: the same results give the same events.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from argos.core.flapping import RunHistory
from argos.core.quorum import Ballot
from argos.core.severity import Severity


class EventKind(StrEnum):
    """A change of a task's published state."""

    OPENED = "opened"
    """The task is not ok, for longer than the retries allow: an incident begins."""
    WORSENED = "worsened"
    """The open incident became more urgent than people were told."""
    CLOSED = "closed"
    """The task is ok again: the one recovery of the incident."""
    FLAPPING = "flapping"
    """It changes so often that an incident begins which lasts until it is steady."""
    STEADY = "steady"
    """It changes no more, but stays not ok: the incident goes on as any other."""
    LASTING = "lasting"
    """It is still not ok: people are reminded, or others told. Not of a result."""


class Reason(StrEnum):
    """Why `advance` published an event, or none; shown in logs and pages."""

    FIRST_OK = "first-ok"
    """The first result of all is fine: nobody needs to hear of it."""
    STILL_OK = "still-ok"
    SOFT_RECOVERY = "soft-recovery"
    """It failed, but recovered before anybody was told."""
    RETRYING = "retrying"
    """It fails, but not yet more often than `retry_before_notification` allows."""
    CONFIRMING = "confirming"
    """It fails often enough, but one agent alone saw it: another one looks again."""
    REFUTED = "refuted"
    """The other agent found it ok: the agents disagree, and nobody is told."""
    NO_ANSWER = "no-answer"
    """The agent that was asked could not look: the first one's word counts, if nobody
    sees more in time."""
    CONFIRMED = "confirmed"
    """It failed more often in a row than the retries allow."""
    CONFIRMED_ELSEWHERE = "confirmed-elsewhere"
    """So it did, and another agent saw it too."""
    UNCONFIRMED = "unconfirmed"
    """So it did, and no other agent answered in time: told all the same."""
    QUORUM = "quorum"
    """So it did, and at as many locations as the quorum asks for."""
    TOO_FEW = "too-few"
    """So it did, but fewer locations see it than the quorum asks for."""
    TOLD_ELSEWHERE = "told-elsewhere"
    """People know already: the incident of another location stands for this one."""
    BAD_ELSEWHERE = "bad-elsewhere"
    """It is ok here, but still not ok at as many other locations as it takes."""
    OK_ELSEWHERE = "ok-elsewhere"
    """Nobody looks any more from here, and the other locations find it ok."""
    REMOVED = "removed"
    """Nobody watches it any more: it was taken out of the config."""
    AGENT_SUSPECT = "agent-suspect"
    """Its agent fails wherever others succeed: this says nothing of the website."""
    MORE_URGENT = "more-urgent"
    STILL_BAD = "still-bad"
    """People know already; a change for the better is not told until it is ok."""
    RECOVERING = "recovering"
    """It is ok, but not yet as often as `recoveries_before_notification` asks."""
    RECOVERED = "recovered"
    FLAPPING = "flapping"
    """It changes too often: one notice stands for all of its changes."""
    STEADY = "steady"
    """It has not changed for a while, after it did so too often."""
    REMINDED = "reminded"
    """Nobody has heard of it for as long as `remind_every` says."""
    ESCALATED = "escalated"
    """Nobody has acknowledged it for as long as a step of `escalation` says."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Agents disagree: one saw a task fail, another found it ok at once."""

    agent: str
    """Who saw it fail."""
    since: datetime


@dataclass(frozen=True, slots=True)
class TaskState:
    """What is remembered of a task from one result to the next."""

    told: Severity = Severity.OK
    """The most urgent severity that people were told in the open incident, else ok."""
    contiguous_failures: int = 0
    """How many results in a row were not ok."""
    failing_since: datetime | None = None
    """When the first of these results was measured; while people know of a problem,
    when that began."""
    has_run: bool = False
    """Whether there was a result before."""
    contiguous_successes: int = 0
    """How many results in a row were ok, while an incident is open."""
    history: RunHistory = field(default_factory=RunHistory)
    is_flapping: bool = False
    seen_by: str | None = None
    """The agent that alone saw all the failures in a row, or asked another one about
    them; None: several did."""
    confirming_since: datetime | None = None
    """Since when another agent is asked to look; None: none is."""
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One result, as far as incidents are concerned."""

    severity: Severity
    submitted_at: datetime
    agent: str | None = None
    is_doubted: bool = False
    """The agent is suspect: that it failed says nothing of the website."""


@dataclass(frozen=True, slots=True)
class Patience:
    """A task's settings: how much must happen before people are told."""

    retries: int = 0
    """`retry_before_notification`: so many failures in a row stay untold."""
    recoveries: int = 0
    """`recoveries_before_notification`: so many successes in a row stay untold."""
    asks_another: bool = False
    """Whether another agent is there to look again before a problem is told."""
    asks_elsewhere: bool = False
    """Whether one at another location is, which looks even where several saw it here."""
    ballot: Ballot | None = None
    """What is seen from elsewhere; None: one location alone decides."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one result makes of a task."""

    state: TaskState
    event: EventKind | None
    reason: Reason


def advance(state: TaskState, outcome: Outcome, patience: Patience) -> Step:
    """Apply one result to a task's state.

    A failure counts only together with those right before it. Every told problem gets
    exactly one recovery, whatever happens in between.
    """
    if outcome.severity is Severity.OK:
        return _advance_to_ok(state, outcome, patience)
    if outcome.is_doubted:
        return Step(forget_witness(state, outcome.agent), None, Reason.AGENT_SUSPECT)
    is_first = state.contiguous_failures == 0
    failing = replace(
        state,
        contiguous_failures=state.contiguous_failures + 1,
        contiguous_successes=0,
        failing_since=state.failing_since or outcome.submitted_at,
        has_run=True,
        history=state.history.push(failed=True),
        seen_by=outcome.agent if is_first or state.seen_by == outcome.agent else None,
    )
    if state.told is not Severity.OK:
        return _advance_open(failing, outcome.severity)
    if failing.contiguous_failures <= max(patience.retries, 0):
        return Step(failing, None, Reason.RETRYING)
    return _find_problem(failing, outcome, patience, asked_by=state.seen_by)


def forget_witness(state: TaskState, agent: str | None) -> TaskState:
    """The state without the failures in a row that a suspect agent alone has seen."""
    if state.told is not Severity.OK or state.seen_by is None or state.seen_by != agent:
        return replace(state, has_run=True)
    history = state.history.forget_failures(state.contiguous_failures)
    return TaskState(has_run=True, history=history, doubt=state.doubt)


def tell_unconfirmed(state: TaskState, severity: Severity) -> Step:
    """Tell a problem for which the other agent's answer did not come in time."""
    return _open(state, severity, Reason.UNCONFIRMED)


def end_unseen(state: TaskState, reason: Reason) -> Step:
    """End an incident though nobody looks any more, from one location or at all."""
    calm = TaskState(has_run=True, history=state.history)
    return Step(calm, EventKind.CLOSED, reason)


def _find_problem(
    failing: TaskState, outcome: Outcome, patience: Patience, *, asked_by: str | None
) -> Step:
    """It failed often enough: tell it, unless one agent or too few locations saw it."""
    if patience.ballot is not None:
        return _vote(failing, outcome.severity, patience.ballot)
    if failing.confirming_since is not None:
        if outcome.severity is Severity.UNKNOWN:
            # Who could not look says neither that it is so nor how bad it is.
            return Step(replace(failing, seen_by=asked_by), None, Reason.NO_ANSWER)
        is_other = failing.seen_by is None
        reason = Reason.CONFIRMED_ELSEWHERE if is_other else Reason.UNCONFIRMED
        return _open(failing, outcome.severity, reason)
    is_seen_by_one = failing.seen_by is not None
    if patience.asks_another if is_seen_by_one else patience.asks_elsewhere:
        asking = replace(
            failing, confirming_since=outcome.submitted_at, seen_by=outcome.agent
        )
        return Step(asking, None, Reason.CONFIRMING)
    return _open(failing, outcome.severity, Reason.CONFIRMED)


def _vote(failing: TaskState, severity: Severity, ballot: Ballot) -> Step:
    if ballot.is_told:
        return Step(failing, None, Reason.TOLD_ELSEWHERE)
    # Who could not measure has no vote while there are others who can.
    is_blind = severity is Severity.UNKNOWN and ballot.is_answered
    if is_blind or not ballot.is_enough_with_own:
        return Step(failing, None, Reason.TOO_FEW)
    return _open(failing, severity, Reason.QUORUM)


def _open(failing: TaskState, severity: Severity, reason: Reason) -> Step:
    told = replace(failing, told=severity, confirming_since=None, doubt=None)
    if told.history.begins_to_flap:
        flapping = replace(told, is_flapping=True)
        return Step(flapping, EventKind.FLAPPING, Reason.FLAPPING)
    return Step(told, EventKind.OPENED, reason)


def _advance_open(failing: TaskState, severity: Severity) -> Step:
    if failing.is_flapping and failing.history.is_steady:
        steady = replace(failing, is_flapping=False, told=severity)
        return Step(steady, EventKind.STEADY, Reason.STEADY)
    if severity.urgency > failing.told.urgency:
        told = replace(failing, told=severity)
        return Step(told, EventKind.WORSENED, Reason.MORE_URGENT)
    reason = Reason.FLAPPING if failing.is_flapping else Reason.STILL_BAD
    return Step(failing, None, reason)


def _advance_to_ok(state: TaskState, outcome: Outcome, patience: Patience) -> Step:
    if state.told is Severity.OK:
        return _stay_ok(state, outcome)
    fine = replace(
        state,
        contiguous_failures=0,
        contiguous_successes=state.contiguous_successes + 1,
        history=state.history.push(failed=False),
        seen_by=None,
    )
    if fine.is_flapping and not fine.history.is_steady:
        return Step(fine, None, Reason.FLAPPING)
    if fine.contiguous_successes <= max(patience.recoveries, 0):
        return Step(fine, None, Reason.RECOVERING)
    if patience.ballot is not None and patience.ballot.is_enough_without_own:
        return Step(fine, None, Reason.BAD_ELSEWHERE)
    reason = Reason.STEADY if fine.is_flapping else Reason.RECOVERED
    calm = TaskState(has_run=True, history=fine.history)
    return Step(calm, EventKind.CLOSED, reason)


def _stay_ok(state: TaskState, outcome: Outcome) -> Step:
    history, doubt = state.history, state.doubt
    if state.confirming_since is not None and state.seen_by != outcome.agent:
        # What one agent alone saw is no change of the website.
        reason = Reason.REFUTED
        history = history.forget_failures(state.contiguous_failures)
        if state.seen_by is not None:
            doubt = doubt or Doubt(state.seen_by, state.confirming_since)
    elif state.contiguous_failures:
        reason = Reason.SOFT_RECOVERY
    else:
        reason = Reason.STILL_OK if state.has_run else Reason.FIRST_OK
    if doubt is not None and doubt.agent == outcome.agent:
        doubt = None
    fine = TaskState(has_run=True, history=history.push(failed=False), doubt=doubt)
    return Step(fine, None, reason)
