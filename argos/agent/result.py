"""Results as they go to the server: each a JSON object, shaped like `AgentResult`.

They are put together by hand, since a model for each result would cost more than
probing; tests read them back as models.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from argos.agent.judging import describe_error
from argos.checks.base import Verdict
from argos.core.probe import Timings
from argos.core.severity import Status
from argos.errors import ArgosError
from argos.protocol import MAX_CONTEXT_BYTES, Task

CERTIFICATE_CHECK = "ssl-certificate-expiration"
"""The one check whose verdict 0.10.3 lets the server judge."""

_STATUSES = {status: status.value.encode() for status in Status}
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_PHASE_US = 2**31 - 1
_LONGEST_ESCAPE = 6
"""Bytes that JSON in ASCII needs at most for a byte of JSON in UTF-8."""
_encode = msgspec.json.Encoder().encode
_FACTS_THAT_BREAK_0_10_3 = frozenset({"cls", "config", "result"})


def encode_results(
    verdicts: Iterable[tuple[Task, Verdict]],
    *,
    elapsed: timedelta,
    timings: Timings | None = None,
) -> list[bytes]:
    """What to report of tasks that one probe answers, `elapsed` after their lease."""
    ending = _encode_ending(elapsed, timings)
    lease: tuple[Task, bytes] | None = None
    results = []
    for task, verdict in verdicts:
        status, facts = verdict.status, verdict.facts
        if task.lease_no is None:
            status, facts = _legacy_form(task, verdict)
        if lease is None or not _share_lease(task, lease[0]):
            lease = task, _encode_lease(task)
        results.append(
            b'{"task_id":%d,"status":"%b","context":%b%b%b'
            % (task.id, _STATUSES[status], encode_facts(facts), lease[1], ending)
        )
    return results


def encode_facts(facts: Mapping[str, Any]) -> bytes:
    """The facts, or where they cannot be sent, a note that says so."""
    try:
        text = _encode(facts)
    except (TypeError, ValueError, OverflowError) as err:
        # Facts of a check that are no JSON: the result still counts.
        return _encode({"reason": f"The facts of the check cannot be sent: {err}"})
    if len(text) * _LONGEST_ESCAPE <= MAX_CONTEXT_BYTES:
        return text
    size = len(json.dumps(dict(facts), default=str))
    if size <= MAX_CONTEXT_BYTES:
        return text
    note = f"The facts were too long to be reported ({size} bytes)."
    return _encode({"reason": note})


def _share_lease(task: Task, other: Task) -> bool:
    return (task.group_id, task.lease_no) == (other.group_id, other.lease_no)


def _encode_lease(task: Task) -> bytes:
    text = ""
    if task.lease_no is not None:
        text += f',"lease_no":{task.lease_no}'
    if task.leased_at is not None:
        text += f',"leased_at":"{task.leased_at.isoformat()}"'
    return text.encode()


def _encode_ending(elapsed: timedelta, timings: Timings | None) -> bytes:
    text = f',"elapsed_us":{max(0, elapsed // _MICROSECOND)}'
    if timings is not None:
        text += f',"timings":{{{_encode_phases(timings)}}}'
    return f"{text}}}".encode()


def _encode_phases(timings: Timings) -> str:
    phases = (
        ("dns_us", timings.dns_us),
        ("connect_us", timings.connect_us),
        ("tls_us", timings.tls_us),
        ("first_byte_us", timings.first_byte_us),
        ("transfer_us", timings.transfer_us),
        ("total_us", timings.total_us),
        ("timing_error_us", timings.timing_error_us),
    )
    return ",".join([
        f'"{name}":{min(max(0, value), _LONGEST_PHASE_US)}'
        for name, value in phases
        if value is not None
    ])


def _legacy_form(task: Task, verdict: Verdict) -> tuple[Status, Mapping[str, Any]]:
    """What must change so that a 0.10.3 server does not stumble over the result."""
    facts = {
        key: value
        for key, value in verdict.facts.items()
        if key not in _FACTS_THAT_BREAK_0_10_3
    }
    days = facts.get("expires_in")
    may_judge = task.check == CERTIFICATE_CHECK and type(days) is int
    if verdict.status is Status.ON_CHECK and not may_judge:
        refusal = describe_error(ArgosError("The server cannot judge this verdict"))
        return refusal.status, refusal.facts
    return verdict.status, facts
