"""What agents report of their tasks, read back as the server reads it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from argos.agent.result import encode_facts, encode_results
from argos.checks.base import Verdict
from argos.core.probe import Timings
from argos.core.severity import Status
from argos.protocol import MAX_CONTEXT_BYTES, AgentResult, PhaseTimings, Task
from tests.agent.test_probing import NOW, legacy_task, make_task


def result_of(
    task: Task,
    verdict: Verdict,
    *,
    elapsed: timedelta = timedelta(0),
    timings: Timings | None = None,
) -> AgentResult:
    [text] = encode_results([(task, verdict)], elapsed=elapsed, timings=timings)
    return AgentResult.model_validate_json(text)


def test_a_result_echoes_the_lease_and_says_how_long_it_took() -> None:
    timings = Timings(dns_us=5, total_us=2**40, timing_error_us=-1)

    result = result_of(
        make_task(),
        Verdict(Status.SUCCESS, {"retrieved": 200}),
        elapsed=timedelta(seconds=1.5),
        timings=timings,
    )

    assert (result.lease_no, result.leased_at) == (3, NOW)
    assert result.elapsed_us == 1_500_000
    assert result.timings == PhaseTimings(
        dns_us=5, total_us=2**31 - 1, timing_error_us=0
    )


def test_facts_too_long_for_a_result_are_replaced_by_a_note() -> None:
    facts = json.loads(encode_facts({"list": ["x" * 1000] * 100}))

    assert "too long" in facts["reason"]


def test_facts_that_just_fit_are_sent() -> None:
    facts = {"a": "\u0001" * (MAX_CONTEXT_BYTES // 6 - 2)}

    assert json.loads(encode_facts(facts)) == facts


def test_facts_that_are_no_json_do_not_cost_the_result() -> None:
    odd = Verdict(Status.FAILURE, {"a": ["\ud800"]})

    result = result_of(make_task(), odd)

    assert result.status is Status.FAILURE
    assert "cannot be sent" in result.context["reason"]


def test_a_number_that_is_none_is_sent_as_null() -> None:
    assert encode_facts({"a": float("nan")}) == b'{"a":null}'


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=5),
        st.none()
        | st.booleans()
        | st.integers(-(2**60), 2**60)
        | st.text(st.characters(codec="utf-8"), max_size=20),
        max_size=5,
    ),
    st.sampled_from(list(Status)),
)
def test_any_facts_arrive_as_they_were(facts: dict[str, Any], status: Status) -> None:
    result = result_of(make_task(), Verdict(status, facts))

    assert (result.status, result.context) == (status, facts)


def test_results_of_several_leases_keep_their_own() -> None:
    tasks = [make_task(id=1), make_task(id=2, lease_no=4), make_task(id=3, lease_no=4)]
    verdict = Verdict(Status.SUCCESS)

    texts = encode_results([(task, verdict) for task in tasks], elapsed=timedelta(0))
    results = [AgentResult.model_validate_json(text) for text in texts]

    assert [(result.task_id, result.lease_no) for result in results] == [
        (1, 3),
        (2, 4),
        (3, 4),
    ]


@pytest.mark.parametrize(
    ("check", "verdict", "status", "context"),
    [
        (
            "status-is",
            Verdict(Status.SUCCESS, {"config": 1, "result": 2, "cls": 3, "a": 4}),
            Status.SUCCESS,
            {"a": 4},
        ),
        (
            "ssl-certificate-expiration",
            Verdict(Status.ON_CHECK, {"expires_in": 12}),
            Status.ON_CHECK,
            {"expires_in": 12},
        ),
    ],
    ids=["names that break it", "certificate"],
)
def test_a_result_for_an_old_server_has_nothing_that_breaks_it(
    check: str, verdict: Verdict, status: Status, context: dict[str, Any]
) -> None:
    result = result_of(legacy_task(check=check), verdict)

    assert (result.status, result.context) == (status, context)


@pytest.mark.parametrize(
    ("check", "facts"),
    [
        ("ssl-certificate-expiration", {}),
        ("ssl-certificate-expiration", {"expires_in": True}),
        ("ssl-certificate-expiration", {"expires_in": 1.5}),
        ("status-is", {"expires_in": 3}),
    ],
    ids=["missing", "boolean", "fraction", "another check"],
)
def test_an_old_server_is_never_asked_to_judge_what_it_cannot(
    check: str, facts: dict[str, Any]
) -> None:
    verdict = Verdict(Status.ON_CHECK, facts)

    result = result_of(legacy_task(check=check), verdict)

    assert result.status is Status.ERROR
    assert "expires_in" not in result.context
