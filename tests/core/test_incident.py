import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from argos.core.incident import (
    Doubt,
    EventKind,
    Outcome,
    Patience,
    Reason,
    TaskState,
    advance,
    tell_unconfirmed,
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


@pytest.mark.parametrize(
    ("retries", "severities", "expected"),
    [
        pytest.param(0, [OK, OK], [None, None], id="I-30 a first ok is silent"),
        pytest.param(
            0,
            [OK, CRITICAL, CRITICAL, OK],
            [None, OPENED, None, CLOSED],
            id="a problem is told once, and its end",
        ),
        pytest.param(
            0,
            [WARNING, WARNING, CRITICAL, CRITICAL, CRITICAL, OK],
            [OPENED, None, WORSENED, None, None, CLOSED],
            id="worsening is told once",
        ),
        pytest.param(
            0,
            [CRITICAL, WARNING, CRITICAL, WARNING, OK],
            [OPENED, None, None, None, CLOSED],
            id="D-06 alternating severities are told once",
        ),
        pytest.param(
            0,
            [UNKNOWN, CRITICAL, UNKNOWN, OK],
            [OPENED, WORSENED, None, CLOSED],
            id="down is more urgent than unmeasured",
        ),
        pytest.param(
            0,
            [UNKNOWN],
            [OPENED],
            id="D-07 a first error is told although born unknown",
        ),
        pytest.param(
            2,
            [CRITICAL, CRITICAL, OK, CRITICAL, CRITICAL, OK],
            [None] * 6,
            id="I-23 a success starts the count anew",
        ),
        pytest.param(
            2,
            [CRITICAL, CRITICAL, CRITICAL, OK],
            [None, None, OPENED, CLOSED],
            id="I-23 N retries mean N+1 failures in a row",
        ),
        pytest.param(
            1,
            [CRITICAL, CRITICAL, CRITICAL, OK],
            [None, OPENED, None, CLOSED],
            id="A-22 retry 1, told once",
        ),
        pytest.param(
            2,
            [CRITICAL, CRITICAL],
            [None, None],
            id="A-22 retry 2, new task, two fails",
        ),
        pytest.param(
            2, [CRITICAL, OK], [None, None], id="A-22 retry 2, new task, fail then ok"
        ),
        pytest.param(
            2,
            [OK, CRITICAL, OK, CRITICAL, OK, CRITICAL],
            [None] * 6,
            id="A-22 retry 2, never two in a row",
        ),
        pytest.param(
            2,
            [OK, CRITICAL, CRITICAL, CRITICAL, WARNING, OK],
            [None, None, None, OPENED, None, CLOSED],
            id="A-22 retry 2, eases before it recovers",
        ),
        pytest.param(
            1,
            [CRITICAL, OK, CRITICAL],
            [None, None, None],
            id="A-22 retry 1, fail ok fail",
        ),
        pytest.param(
            1,
            [WARNING, CRITICAL, OK],
            [None, OPENED, CLOSED],
            id="two kinds of failure count together",
        ),
        pytest.param(
            -3, [CRITICAL, OK], [OPENED, CLOSED], id="negative retries are none"
        ),
    ],
)
def test_sequences(retries, severities, expected):
    assert events(severities, retries=retries) == expected


def test_reasons_of_a_plain_problem():
    sequence = [OK, OK, WARNING, OK, WARNING, WARNING, CRITICAL, CRITICAL, OK]

    assert reasons(sequence, retries=1) == [
        Reason.FIRST_OK,
        Reason.STILL_OK,
        Reason.RETRYING,
        Reason.SOFT_RECOVERY,
        Reason.RETRYING,
        Reason.CONFIRMED,
        Reason.MORE_URGENT,
        Reason.STILL_BAD,
        Reason.RECOVERED,
    ]


@pytest.mark.parametrize(
    ("recoveries", "severities", "expected"),
    [
        pytest.param(
            1,
            [CRITICAL, OK, OK],
            [Reason.CONFIRMED, Reason.RECOVERING, Reason.RECOVERED],
            id="one success is not enough",
        ),
        pytest.param(
            2,
            [CRITICAL, OK, OK, CRITICAL, OK, OK, OK],
            [
                Reason.CONFIRMED,
                Reason.RECOVERING,
                Reason.RECOVERING,
                Reason.STILL_BAD,
                Reason.RECOVERING,
                Reason.RECOVERING,
                Reason.RECOVERED,
            ],
            id="a failure starts the count anew",
        ),
        pytest.param(
            -1, [CRITICAL, OK], [Reason.CONFIRMED, Reason.RECOVERED], id="negative"
        ),
    ],
)
def test_successes_before_the_recovery(recoveries, severities, expected):
    assert reasons(severities, recoveries=recoveries) == expected


def test_an_incident_that_recovers_slowly_keeps_its_beginning():
    steps = run([CRITICAL, OK, CRITICAL, OK, OK], recoveries=1)

    assert steps[3].state.failing_since == START
    assert steps[4].event is CLOSED
    assert steps[4].state.failing_since is None


@pytest.mark.parametrize(
    ("agents", "retries", "severities", "expected"),
    [
        pytest.param(
            "ab",
            0,
            [CRITICAL, CRITICAL, OK],
            [Reason.CONFIRMING, Reason.CONFIRMED_ELSEWHERE, Reason.RECOVERED],
            id="another agent sees it too",
        ),
        pytest.param(
            "ab",
            0,
            [CRITICAL, OK, OK],
            [Reason.CONFIRMING, Reason.REFUTED, Reason.STILL_OK],
            id="another agent sees nothing",
        ),
        pytest.param(
            "a",
            0,
            [CRITICAL, CRITICAL, OK],
            [Reason.CONFIRMING, Reason.UNCONFIRMED, Reason.RECOVERED],
            id="nobody else looked",
        ),
        pytest.param(
            "a",
            0,
            [CRITICAL, OK],
            [Reason.CONFIRMING, Reason.SOFT_RECOVERY],
            id="it recovered before anybody else looked",
        ),
        pytest.param(
            "ab",
            1,
            [CRITICAL, CRITICAL, OK],
            [Reason.RETRYING, Reason.CONFIRMED, Reason.RECOVERED],
            id="the retry was another agent's: nothing is left to ask",
        ),
        pytest.param(
            "aab",
            1,
            [CRITICAL, CRITICAL, CRITICAL],
            [Reason.RETRYING, Reason.CONFIRMING, Reason.CONFIRMED_ELSEWHERE],
            id="the retry was its own",
        ),
        pytest.param(
            "abba",
            1,
            [CRITICAL, WARNING, CRITICAL, CRITICAL],
            [Reason.RETRYING, Reason.CONFIRMED, Reason.MORE_URGENT, Reason.STILL_BAD],
            id="what people know is not asked again",
        ),
    ],
)
def test_a_second_opinion_comes_before_the_notice(
    agents, retries, severities, expected
):
    found = reasons(severities, agents=agents, retries=retries, asks_another=True)

    assert found == expected


def test_another_location_is_asked_of_what_several_agents_saw_here():
    severities = [CRITICAL, CRITICAL, OK]

    asked = run(severities, agents="abc", retries=1, asks_elsewhere=True)
    reasons = [step.reason for step in asked]

    assert reasons == [Reason.RETRYING, Reason.CONFIRMING, Reason.REFUTED]
    assert asked[-1].state.doubt == Doubt("b", START + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        pytest.param(CRITICAL, Reason.UNCONFIRMED, id="the first one sees it again"),
        pytest.param(OK, Reason.SOFT_RECOVERY, id="the first one sees it no more"),
    ],
)
def test_who_could_not_look_answers_nothing(later, reason):
    steps = run([CRITICAL, UNKNOWN, later], agents="aba", asks_another=True)

    assert [step.reason for step in steps] == [
        Reason.CONFIRMING,
        Reason.NO_ANSWER,
        reason,
    ]
    assert steps[1].state.seen_by == "a"
    assert steps[-1].state.told is (CRITICAL if later is CRITICAL else OK)


def test_agents_that_disagree_are_remembered_until_they_agree():
    steps = run(
        [CRITICAL, OK, OK, CRITICAL, OK, OK], agents="abbaba", asks_another=True
    )
    doubts = [step.state.doubt for step in steps]

    doubt = Doubt("a", START)
    assert doubts == [None, doubt, doubt, doubt, doubt, None]
    assert [step.event for step in steps] == [None] * 6


def test_what_one_agent_alone_saw_is_no_change_of_the_website():
    steps = run([OK, CRITICAL] * 12, agents="ba", asks_another=True)

    assert steps[-1].state.history.changes == 1
    assert not any(step.event for step in steps)


def test_a_problem_is_told_without_the_answer_that_did_not_come():
    waiting = run([OK, CRITICAL], asks_another=True)[-1].state

    step = tell_unconfirmed(waiting, CRITICAL)

    assert (step.event, step.reason) == (OPENED, Reason.UNCONFIRMED)
    assert step.state.told is CRITICAL
    assert step.state.confirming_since is None
    assert advance(step.state, Outcome(OK, START), Patience()).event is CLOSED


def doubted(state, agent="a"):
    outcome = Outcome(UNKNOWN, START, agent, is_doubted=True)
    return advance(state, outcome, Patience(asks_another=True))


def test_i33_a_suspect_agent_takes_its_findings_with_it():
    waiting = run([OK, OK, CRITICAL], asks_another=True)[-1].state

    step = doubted(waiting)

    assert (step.event, step.reason) == (None, Reason.AGENT_SUSPECT)
    assert step.state.contiguous_failures == 0
    assert step.state.confirming_since is None
    assert step.state.history.changes == 0


def test_i33_a_suspect_agent_takes_nothing_that_others_saw():
    told = run([OK, CRITICAL, CRITICAL], agents="bab", asks_another=True)[-1].state
    seen_by_b = run([CRITICAL], agents="b", retries=2)[-1].state

    assert doubted(told).state == told
    assert doubted(seen_by_b).state == seen_by_b


def test_flapping_is_told_once_and_ends_with_the_one_recovery():
    steps = run([OK, CRITICAL] * 6 + [OK] * 20)
    told = [(step.event, step.reason) for step in steps if step.event]

    assert told == [
        (OPENED, Reason.CONFIRMED),
        (CLOSED, Reason.RECOVERED),
        (OPENED, Reason.CONFIRMED),
        (CLOSED, Reason.RECOVERED),
        (OPENED, Reason.CONFIRMED),
        (CLOSED, Reason.RECOVERED),
        (FLAPPING, Reason.FLAPPING),
        (CLOSED, Reason.STEADY),
    ]
    assert steps[-1].state.told is OK


def test_flapping_that_ends_in_an_outage_says_so():
    steps = run([OK, CRITICAL] * 6 + [CRITICAL] * 12 + [OK, OK])
    told = [step.event for step in steps if step.event]

    assert told[6:] == [FLAPPING, STEADY, CLOSED]
    assert {step.reason for step in steps[8:12]} == {Reason.FLAPPING}


def test_flapping_hides_nothing_more_urgent():
    steps = run([OK, WARNING] * 5 + [OK, CRITICAL, OK, CRITICAL])
    told = [step.event for step in steps if step.event]

    assert told[6:] == [FLAPPING, WORSENED]


def test_flapping_only_calms_what_would_be_told():
    assert not any(events([OK, CRITICAL] * 30, retries=1))


def test_every_reason_is_given():
    paths = [
        run([OK, OK, WARNING, OK, WARNING, WARNING, CRITICAL, WARNING, OK], retries=1),
        run([CRITICAL, OK, CRITICAL, CRITICAL], agents="abab", asks_another=True),
        run([CRITICAL, CRITICAL, OK, OK], asks_another=True, recoveries=1),
        run([CRITICAL, UNKNOWN], agents="ab", asks_another=True),
        run([OK, CRITICAL] * 6 + [OK] * 20),
        [doubted(TaskState())],
    ]

    of_no_result = {
        Reason.REMINDED,
        Reason.ESCALATED,
        Reason.OK_ELSEWHERE,
        Reason.REMOVED,
    }
    voted = {Reason.TOO_FEW, Reason.TOLD_ELSEWHERE, Reason.QUORUM, Reason.BAD_ELSEWHERE}
    found = {step.reason for path in paths for step in path}
    assert found == set(Reason) - of_no_result - voted


def test_an_incident_began_with_its_first_failure():
    steps = run([OK, CRITICAL, CRITICAL, CRITICAL], retries=2)

    assert steps[-1].event is OPENED
    assert steps[-1].state.failing_since == START + timedelta(minutes=1)


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
