"""Whatever the results are, what is told comes in pairs, and is what they demand."""

import re
from datetime import timedelta

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from argos.core.incident import (
    EventKind,
    Outcome,
    Patience,
    Reason,
    TaskState,
    advance,
    tell_unconfirmed,
)
from argos.core.severity import Severity
from tests.core.incident_steps import (
    CLOSED,
    CRITICAL,
    FLAPPING,
    OK,
    OPENED,
    START,
    STEADY,
    WORSENED,
    run,
)

severities = st.lists(st.sampled_from(Severity), max_size=60)


patience = st.builds(
    Patience,
    retries=st.integers(min_value=0, max_value=5),
    recoveries=st.integers(min_value=0, max_value=3),
    asks_another=st.booleans(),
)


class Told(RuleBasedStateMachine):
    """Whatever results come, people can make sense of what they are told."""

    @initialize(patience=patience)
    def begin(self, patience):
        self.patience = patience
        self.state = TaskState()
        self.results = []
        self.told = []
        self.failures = 0
        self.successes = 0

    @rule(
        severity=st.sampled_from(Severity),
        agent=st.sampled_from("abc"),
        is_doubted=st.booleans(),
    )
    def result(self, severity, agent, is_doubted):
        moment = START + timedelta(minutes=len(self.results))
        outcome = Outcome(severity, moment, agent, is_doubted)
        step = advance(self.state, outcome, self.patience)
        self.results.append(outcome)
        self.state = step.state
        if severity is OK:
            self.failures, self.successes = 0, self.successes + 1
        elif not is_doubted:
            self.failures, self.successes = self.failures + 1, 0
        if step.event is not None:
            self.told.append(step.event)
        self._check_event(step)

    @precondition(lambda self: self.state.confirming_since is not None)
    @rule()
    def nobody_answers(self):
        step = tell_unconfirmed(self.state, CRITICAL)
        self.state = step.state
        self.told.append(step.event)
        assert step.event in {OPENED, FLAPPING}

    def _check_event(self, step):
        match step.event:
            case EventKind.OPENED | EventKind.FLAPPING:
                # I-23: never before so many failures in a row.
                assert self.failures > self.patience.retries
            case EventKind.CLOSED:
                assert self.successes > self.patience.recoveries
            case EventKind.STEADY | EventKind.WORSENED:
                assert step.state.told is not OK
        if step.reason is Reason.CONFIRMED and self.patience.asks_another:
            # I-32: more than one agent has seen it.
            streak = [
                each.agent
                for each in self.results[-self.failures :]
                if not each.is_doubted
            ]
            assert len(set(streak)) > 1 or step.state.seen_by is None

    @invariant()
    def i22_problems_and_recoveries_pair(self):
        letters = "".join(LETTERS[event] for event in getattr(self, "told", []))
        assert PAIRED.fullmatch(letters), letters

    @invariant()
    def i30_nothing_is_told_of_a_task_that_never_failed(self):
        results = getattr(self, "results", [])
        if all(each.severity is OK for each in results):
            assert not getattr(self, "told", [])

    @invariant()
    def the_state_knows_what_was_told(self):
        told = getattr(self, "told", [])
        is_open = bool(told) and told[-1] is not CLOSED
        assert (getattr(self, "state", TaskState()).told is not OK) == is_open


LETTERS = {OPENED: "O", WORSENED: "W", CLOSED: "C", FLAPPING: "F", STEADY: "S"}


PAIRED = re.compile(r"((OW{0,2}|F(W|S)*)C)*(OW{0,2}|F(W|S)*)?")


TestTold = Told.TestCase


TestTold.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


@given(severities, st.integers(min_value=0, max_value=5))
def test_i20_the_last_told_state_is_what_the_results_demand(sequence, retries):
    has_flapped = False
    for index, step in enumerate(run(sequence, retries=retries)):
        failures = 0
        for severity in sequence[: index + 1]:
            failures = 0 if severity is OK else failures + 1
        assert step.state.contiguous_failures == failures
        if step.event in {FLAPPING, CLOSED}:
            # Such an incident outlives successes, also when it becomes steady.
            has_flapped = step.event is FLAPPING
        if not has_flapped:
            assert (step.state.told is OK) == (failures <= retries)


@given(severities, patience)
def test_i20_the_same_results_give_the_same_events(sequence, patience):
    settings = {name: getattr(patience, name) for name in Patience.__slots__}

    assert run(sequence, agents="ab", **settings) == run(
        sequence, agents="ab", **settings
    )
