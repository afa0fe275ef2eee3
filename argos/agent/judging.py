"""Judging what a probe brought, and what is told of its way. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace as change

from argos.checks import BaseCheck, get_registered_check
from argos.checks.base import Verdict, is_plain_success
from argos.core.probe import (
    NO_DETAILS,
    FailureKind,
    Outcome,
    ProbeFailure,
    ProbeResponse,
)
from argos.core.severity import Status
from argos.protocol import Task

_BADNESS = {
    Status.SUCCESS: 0,
    Status.ON_CHECK: 1,
    Status.ERROR: 2,
    Status.FAILURE: 3,
}
PLAIN_SUCCESS = Verdict(Status.SUCCESS)
"""That of all checks of which nothing is to be said."""
_PROBLEMS = frozenset({Status.FAILURE, Status.ERROR})
_DATE_FAULTS = frozenset({9, 10})
"""OpenSSL's codes of a certificate that is not valid yet, or has expired."""
_WRONG_CLOCK = (
    "The clock of this agent is wrong: by the server's, the certificate is valid."
)


def judge_tasks(
    tasks: Iterable[Task], outcome: Outcome, *, now: datetime
) -> list[tuple[Task, Verdict]]:
    """Each task's verdict; one that cannot be judged is an error of its own.

    What only repeats what was expected is told to servers of 0.10.3 alone: ours do not
    keep it.
    """
    if outcome.details is not NO_DETAILS or not isinstance(outcome, ProbeResponse):
        outcome = _excuse_clock(outcome, now)
        return [(task, _judge(task, outcome, now)) for task in tasks]
    return [
        (
            task,
            PLAIN_SUCCESS
            if task.lease_no is not None
            and is_plain_success(task.check, task.expected, outcome)
            else _judge(task, outcome, now),
        )
        for task in tasks
    ]


def _judge(task: Task, outcome: Outcome, now: datetime) -> Verdict:
    try:
        check = get_registered_check(task.check)
        details = outcome.details
        if details.by_address:
            return _judge_each(check, task.expected, details.by_address, now)
        verdict = check.evaluate(outcome, task.expected, now=now)
    except Exception as err:  # noqa: BLE001  # one bad task must not cost the others
        return describe_error(err)
    if details is NO_DETAILS and verdict.status not in _PROBLEMS:
        return verdict
    return Verdict(verdict.status, {**verdict.facts, **_facts(outcome, verdict.status)})


def describe_error(err: BaseException) -> Verdict:
    """The verdict of a task that could not be done, in the words of 0.10.3."""
    return Verdict(
        Status.ERROR,
        {
            "error_message": str(err) or type(err).__name__,
            "error_type": type(err).__name__,
            "error_details": "",
        },
    )


def _excuse_clock(outcome: Outcome, now: datetime) -> Outcome:
    """The outcome; an error of ours where only our clock finds dates to be wrong.

    `now` is the server's. TLS libraries go by the clock of their machine.
    """
    certificate = outcome.certificate
    if (
        not isinstance(outcome, ProbeFailure)
        or outcome.kind is not FailureKind.CERTIFICATE
        or certificate is None
        or certificate.fault_code not in _DATE_FAULTS
    ):
        return outcome
    ends = (certificate.not_after, *(link.not_after for link in certificate.chain))
    if not certificate.not_before <= now < min(ends):
        return outcome
    # What else may be wrong with it was not looked at.
    return change(
        outcome, kind=FailureKind.INTERNAL, message=_WRONG_CLOCK, certificate=None
    )


def _judge_each(
    check: type[BaseCheck],
    expected: str,
    outcomes: tuple[Outcome, ...],
    now: datetime,
) -> Verdict:
    """The worst verdict over all addresses, and which they are."""
    outcomes = tuple(_excuse_clock(outcome, now) for outcome in outcomes)
    verdicts = [check.evaluate(outcome, expected, now=now) for outcome in outcomes]
    pairs = list(zip(outcomes, verdicts, strict=True))
    outcome, worst = max(
        pairs,
        key=lambda pair: (_BADNESS[pair[1].status], check.badness(pair[1].facts)),
    )
    told = [f"{_address(each)}: {verdict.status}" for each, verdict in pairs]
    facts = {
        **worst.facts,
        **_facts(outcome, worst.status),
        "address": _address(outcome),
        "addresses": ", ".join(told),
    }
    return Verdict(worst.status, facts)


def _facts(outcome: Outcome, status: Status) -> Mapping[str, Any]:
    """Where redirects led, and, of a problem, which address it is about."""
    details = outcome.details
    facts: dict[str, Any] = {}
    if details.hops:
        facts |= {"hops": len(details.hops), "final_url": details.hops[-1]}
    if status in _PROBLEMS:
        if details.addresses:
            facts["addresses"] = ", ".join(details.addresses)
        if outcome.remote_address is not None:
            # By it, the server sees what fails together.
            facts["address"] = outcome.remote_address
    return facts


def _address(outcome: Outcome) -> str:
    return outcome.remote_address or "no address"
