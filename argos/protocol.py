"""All that agents and server say to each other over HTTP.

`GET /api/tasks` leases task groups and `POST /api/results` reports; both work with
agents and servers of 0.10.3, which leave out, or ignore, what is marked as ours.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from argos.core.probe import IPVersion
from argos.core.severity import Severity, Status

PROTOCOL = "2"
PROTOCOL_HEADER = "Argos-Protocol"
"""Set by our servers on every answer to agents; absent from those of 0.10.3."""
IPV6_CAPABILITY = "ipv6"
"""Announced by agents that can reach IPv6 targets; others get no such task."""
OPTIONS_CAPABILITY = "probe-options"
"""Announced by agents that read `Task.options`; others get no task that has some."""

MAX_LEASE_GROUPS = 500
MAX_REPORT_RESULTS = 500
MAX_REPORT_ITEMS = 20_000
"""Beyond what our agents send at once; those of 0.10.3 report all that they got."""
DOUBT = "doubt"
"""The fact of a result that says why its failure counts as not measured."""
CUT_OFF = "The agent reached none of its references either."
"""Its value when the agent itself doubts: its own network is down."""
MAX_WAIT_S = 60
MAX_AHEAD_S = 5
MAX_REPORT_BYTES = 8 * 1024 * 1024
MAX_CONTEXT_BYTES = 64 * 1024

MAX_ELAPSED_US = 30 * 86_400 * 1_000_000
"""How long ago an agent may have measured what it reports."""

Method = Literal[
    "GET", "HEAD", "POST", "OPTIONS", "CONNECT", "TRACE", "PUT", "PATCH", "DELETE"
]
Microseconds = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Task(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One task, as the server hands it out.

    No model: an agent reads five of them for each probe. What has a default may be
    absent from what an agent gets that asks for `lean` tasks.
    """

    id: int
    url: str
    domain: str = ""
    ip_version: IPVersion
    check: str
    method: Method
    request_data: str | None = None
    add_alerts_recipients: str | None = None
    overwrite_alerts_recipients: str | None = None
    expected: str
    task_group: str = ""
    retry_before_notification: int = 0
    contiguous_failures: int = 0
    selected_at: datetime | None = None
    """Naive, in the server's local time, as 0.10.3 sends it; `leased_at` is ours."""
    selected_by: str | None = None

    group_id: int | None = None
    """Ours: the task group to which the lease belongs."""
    lease_no: int | None = None
    """Ours: the fence; to be sent back with the result."""
    leased_at: datetime | None = None
    """Ours: the server's clock at the lease, UTC; to be sent back with the result."""
    timeout_s: float | None = None
    """Ours: the total deadline of the probe, in seconds."""
    options: dict[str, Any] | None = None
    """Ours: how the probe differs from the usual one; see `argos.core.options`."""
    due_in_s: float = 0.0
    """Ours: how long after the answer the probe is due; not 0 only if asked `ahead`."""

    def __repr__(self) -> str:
        # Without the options, which may hold passwords.
        return f"Task(id={self.id}, check={self.check!r}, url={self.url!r})"


class PhaseTimings(BaseModel):
    """How long each phase of the probe took, in microseconds."""

    model_config = ConfigDict(frozen=True)

    dns_us: Microseconds | None = None
    connect_us: Microseconds | None = None
    tls_us: Microseconds | None = None
    first_byte_us: Microseconds | None = None
    transfer_us: Microseconds | None = None
    total_us: Microseconds | None = None
    timing_error_us: Microseconds = 0


class AgentResult(BaseModel):
    """What an agent reports of one task."""

    model_config = ConfigDict(frozen=True)

    task_id: int
    status: Status
    context: dict[str, Any]

    lease_no: int | None = None
    """Ours: the fence of the lease under which the probe was made."""
    leased_at: datetime | None = None
    """Ours: as it came with the task."""
    elapsed_us: Annotated[int, Field(ge=0, le=MAX_ELAPSED_US)] | None = None
    """Ours: from receiving the lease to the probe's end, by the agent's monotonic
    clock; `leased_at` + this is when the result was measured."""
    timings: PhaseTimings | None = None


class Refusal(BaseModel):
    """Why one item of a report was not stored."""

    index: int
    """Its place in the report, from 0."""
    task_id: int | None
    reason: str


class ReportAnswer(BaseModel):
    """What the server did with a report; always sent with 201."""

    result_ids: list[int]
    """In input order; refused items have none."""
    refused: list[Refusal] = []


class HeldLease(BaseModel):
    """A lease that an agent hands back, unused."""

    group_id: Annotated[int, Field(ge=0, le=2**63 - 1)]
    lease_no: Annotated[int, Field(ge=0, le=2**31 - 1)]


class ReleaseAnswer(BaseModel):
    """Which leases the server took back; the others were not the agent's any more."""

    group_ids: list[int]


class SerializableException(BaseModel):
    """An error as a result's context carries it."""

    error_message: str
    error_type: str
    error_details: str


class StatsAnswer(BaseModel):
    """`GET /api/stats`."""

    upcoming_tasks_count: int
    results_count: int
    selected_tasks_count: int


class SeveritiesAnswer(BaseModel):
    """`GET /api/severities`: how many tasks have each severity."""

    ok: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, counts: dict[Severity, int]) -> "SeveritiesAnswer":
        """Count nothing for severities that no task has."""
        return cls(**{severity.value: n for severity, n in counts.items()})
