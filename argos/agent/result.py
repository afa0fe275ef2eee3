"""Results as they go to the server: each a JSON object, shaped like `AgentResult`.

They are put together by hand, since a model for each result would cost more than
probing; tests read them back as models.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec.structs

from argos.agent.judging import PLAIN_SUCCESS, describe_error
from argos.checks.base import Verdict
from argos.core.probe import Timings
from argos.core.severity import Status
from argos.errors import ArgosError
from argos.protocol import MAX_CONTEXT_BYTES, Task

CERTIFICATE_CHECK = "ssl-certificate-expiration"
"""The one check whose verdict 0.10.3 lets the server judge."""

_STATUSES = {
    status: b',"status":"%b","context":' % status.value.encode() for status in Status
}
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_PHASE_US = 2**31 - 1
_find_odd_time = re.compile(rb":(?:-|[0-9]{10})").search
"""What may be out of the bounds of a phase."""
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
    last: Task | None = None
    rest = b""
    results = []
    for task, verdict in verdicts:
        lease_no = task.lease_no
        if last is None or lease_no != last.lease_no or task.group_id != last.group_id:
            last, rest = task, _encode_lease(task) + ending
        if verdict is PLAIN_SUCCESS:
            results.append(
                b'{"task_id":%d,"status":"success","context":{}%b' % (task.id, rest)
            )
            continue
        status, facts = verdict.status, verdict.facts
        if lease_no is None:
            status, facts = _legacy_form(task, verdict)
        text = encode_facts(facts) if facts else b"{}"
        results.append(
            b'{"task_id":%d%b%b%b' % (task.id, _STATUSES[status], text, rest)
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


def _encode_lease(task: Task) -> bytes:
    text = ""
    if task.lease_no is not None:
        text += f',"lease_no":{task.lease_no}'
    if task.leased_at is not None:
        text += _encode_moment(task.leased_at)
    return text.encode()


@lru_cache(maxsize=16)
def _encode_moment(leased_at: datetime) -> str:
    """The same for all tasks of a lease."""
    return f',"leased_at":"{leased_at.isoformat()}"'


def _encode_ending(elapsed: timedelta, timings: Timings | None) -> bytes:
    elapsed_us = max(0, elapsed // _MICROSECOND)
    if timings is None:
        return b',"elapsed_us":%d}' % elapsed_us
    phases = _encode(timings)
    if _find_odd_time(phases):
        phases = _bound_phases(timings)
    return b',"elapsed_us":%d,"timings":%b}' % (elapsed_us, phases)


def _bound_phases(timings: Timings) -> bytes:
    """The phases as far as the protocol goes."""
    phases = {
        name: min(max(0, value), _LONGEST_PHASE_US)
        for name, value in msgspec.structs.asdict(timings).items()
        if value is not None
    }
    return _encode(phases)


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
