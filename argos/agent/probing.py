"""What to ask, of which target, to answer leased tasks; and what the answer means.

Pure: no network, no clock.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec

from argos.agent.judging import describe_error
from argos.checks import BaseCheck, get_registered_check
from argos.checks.base import Verdict
from argos.core.options import NO_OPTIONS, ProbeOptions, read_options
from argos.core.probe import (
    FailureKind,
    IPVersion,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
)
from argos.core.schedule import LEASE_MARGIN
from argos.protocol import Method, Task

LEGACY_TIMEOUT = timedelta(seconds=50)
"""For tasks of a 0.10.3 server: its locks may end after 61 seconds."""

REPORT_INTERVAL = timedelta(seconds=5)
"""What is kept of a lease for judging and reporting."""
SHORTEST_SECOND_LOOK = timedelta(seconds=2)
"""With less time than this a second probe proves nothing."""

KNOWN_PROBES = 20_000
"""Requests that are remembered from one lease to the next, at 1 KB each."""

_QUICK_BODY_BYTES = 16 * 1024
_PATTERN_CHECKS = "-like"
_NO_MAPPING = "request_data should be a mapping of data, is_json and headers"


# No dataclass, which takes longer to make: there is one for each probe.
class ProbeGroup(msgspec.Struct):
    """The tasks of one lease that one probe answers."""

    probe: Probe
    tasks: list[Task]
    has_patterns: bool = False
    """Whether a check of theirs is a regular expression, which may take its time."""


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What leased tasks come down to."""

    groups: list[ProbeGroup]
    hopeless: list[tuple[Task, Verdict]]
    """Tasks that cannot be probed, each with the verdict that says why."""


class _Needs(msgspec.Struct, frozen=True):
    """What tasks of a check need of their probe."""

    has_own_probe: bool
    wants_handshake: bool
    is_pattern: bool


def plan_probes(tasks: Iterable[Task]) -> ProbePlan:
    """Sort tasks by the request that answers them; never raises."""
    groups: dict[Any, ProbeGroup] = {}
    hopeless = []
    last: tuple[Task, ProbeGroup] | None = None
    for task in tasks:
        try:
            needs = _needs_of(task.check)
            # Tasks of a group come one after the other.
            if needs.has_own_probe:
                probe = _probe_of_check(task.check, *_request_of(task))
                group = _group_of(task, probe, groups)
            elif last is not None and _is_same_request(task, last[0]):
                group = last[1]
            else:
                group = _group_of(task, _probe_of_task(*_request_of(task)), groups)
                last = task, group
        except Exception as err:  # noqa: BLE001  # one bad task must not cost the others
            hopeless.append((task, describe_error(err)))
            continue
        group.tasks.append(task)
        if needs.wants_handshake:
            group.probe = _listening(*_request_of(task))
        if needs.is_pattern:
            group.has_patterns = True
    return ProbePlan(list(groups.values()), hopeless)


def _group_of(task: Task, probe: Probe, groups: dict[Any, ProbeGroup]) -> ProbeGroup:
    """The group of a task that this probe answers, a new one if there is none."""
    key = (task.group_id, task.lease_no, id(probe))
    group = groups.get(key)
    if group is None:
        group = groups[key] = ProbeGroup(probe, [])
    return group


@lru_cache(maxsize=256)
def _needs_of(name: str) -> _Needs:
    """Raises CheckNotFound."""
    check = get_registered_check(name)
    return _Needs(
        check.prepare_probe.__func__ is not BaseCheck.prepare_probe.__func__,  # type: ignore[attr-defined]  # class methods have it
        check.wants_handshake,
        name.endswith(_PATTERN_CHECKS),
    )


def _is_same_request(task: Task, other: Task) -> bool:
    """Whether they surely ask the same under one lease; False says nothing."""
    return (
        task.group_id == other.group_id
        and task.lease_no == other.lease_no
        and task.url == other.url
        and task.options is None
        and other.options is None
        and task.method == other.method
        and task.ip_version == other.ip_version
        and task.request_data == other.request_data
        and task.timeout_s == other.timeout_s
    )


def _request_of(task: Task) -> tuple[Any, ...]:
    return (
        task.url,
        task.method,
        task.ip_version,
        task.request_data,
        task.timeout_s,
        # Not NO_OPTIONS, whose hash takes as long as all the others.
        None if task.options is None else read_options(task.options),
    )


@lru_cache(maxsize=KNOWN_PROBES)
def _probe_of_check(check: str, *wanted: Any) -> Probe:
    return get_registered_check(check).prepare_probe(_probe_of_task(*wanted))


@lru_cache(maxsize=KNOWN_PROBES)
def _listening(*wanted: Any) -> Probe:
    return replace(_probe_of_task(*wanted), wants_handshake=True)


# For the same request it is the same object: so tasks are sorted, and so a worker knows
# what it was told before.
@lru_cache(maxsize=KNOWN_PROBES)
def _probe_of_task(
    url: str,
    method: Method,
    ip_version: IPVersion,
    request_data: str | None,
    timeout_s: float | None,
    options: ProbeOptions | None,
) -> Probe:
    headers, body = parse_request_data(request_data)
    return Probe(
        url=url,
        method=method,
        ip_version=ip_version,
        headers=headers,
        body=body,
        timeout=_timeout(timeout_s),
        wants_certificate=url[:6].lower() == "https:",
        options=NO_OPTIONS if options is None else options,
    )


def _timeout(seconds: float | None) -> timedelta:
    if seconds is None or seconds <= 0:
        return LEGACY_TIMEOUT
    return timedelta(seconds=seconds)


def parse_request_data(text: str | None) -> tuple[dict[str, str], bytes | None]:
    """The headers and the body that `request_data` asks for, encoded as 0.10.3 does.

    What it could not send at all (a list, a number or a boolean, as a form) goes out as
    JSON. Raises ValueError where nothing can be sent.
    """
    if text is None:
        return {}, None
    wanted = json.loads(text)
    if not isinstance(wanted, dict):
        raise ValueError(_NO_MAPPING)  # noqa: TRY004  # a fault of the config, not of a caller
    headers = _parse_headers(wanted.get("headers"))
    body, content_type = _encode_body(wanted.get("data"), is_json=wanted.get("json"))
    if content_type and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = content_type
    return headers, body


def _parse_headers(wanted: object) -> dict[str, str]:
    if wanted is None:
        return {}
    if not isinstance(wanted, dict):
        raise ValueError("request_data.headers should be a mapping")  # noqa: TRY004  # a fault of the config, not of a caller
    return {name: str(value) for name, value in wanted.items()}


def _encode_body(data: object, *, is_json: object) -> tuple[bytes | None, str | None]:
    """The body's bytes, and their content type where there is one."""
    if data is None:
        return None, None
    if isinstance(data, str) and not is_json:
        return data.encode("utf-8", "surrogatepass"), None
    if isinstance(data, Mapping) and not is_json:
        form = urlencode({key: _form_value(data[key]) for key in data}, doseq=True)
        return (
            (form.encode(), "application/x-www-form-urlencoded")
            if form
            else (None, None)
        )
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass"), "application/json"


def _form_value(value: object) -> str | list[str]:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return [str(_form_value(item)) for item in value]
    return str(value)


def second_look(probe: Probe, outcome: Outcome, *, elapsed: timedelta) -> Probe | None:
    """The probe to make before a failure counts; None: it counts as it is.

    A timeout that our own stalls may have caused says nothing of the website. The
    second probe has to end within the lease, which is `elapsed` old.
    """
    if not isinstance(outcome, ProbeFailure) or outcome.kind is not FailureKind.TIMEOUT:
        return None
    if outcome.timings.is_trustworthy or outcome.timings.total_us is None:
        return None
    left = probe.timeout + LEASE_MARGIN - REPORT_INTERVAL - elapsed
    if left < SHORTEST_SECOND_LOOK:
        return None
    return replace(probe, timeout=min(probe.timeout, left))


def choose_outcome(first: Outcome, second: Outcome) -> Outcome:
    """What counts of two probes: the second, unless it timed out as well.

    It had less time, so that the first tells better what was missing, and for how long.
    """
    has_timed_out = (
        isinstance(second, ProbeFailure) and second.kind is FailureKind.TIMEOUT
    )
    return first if has_timed_out else second


def is_quick(group: ProbeGroup, outcome: Outcome) -> bool:
    """Whether judging takes so little time that the event loop need not be spared.

    Users' patterns may run until their time limit, and long bodies take milliseconds.
    """
    others = outcome.details.by_address
    if not others:
        return isinstance(outcome, ProbeFailure) or (
            len(outcome.body) <= _QUICK_BODY_BYTES and not group.has_patterns
        )
    size = _body_size(outcome)
    for each in others:
        size += _body_size(each)
    return size <= _QUICK_BODY_BYTES and not group.has_patterns


def _body_size(outcome: Outcome) -> int:
    return len(outcome.body) if isinstance(outcome, ProbeResponse) else 0
