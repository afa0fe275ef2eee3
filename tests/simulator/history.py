"""What happened in a simulation, as far as its checker looks at it.

Seconds are true time, whatever the clocks of servers and agents said meanwhile.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from argos.channels import NoticeKind
from argos.core.incident import EventKind
from argos.core.severity import Severity

Key = tuple[int, datetime]
"""A result: its task, and when it was measured."""
Tasks = frozenset[tuple[str, str, str, float]]
"""What of a config is in force: URL, check, expected value and minutes of each task."""


class Lease(NamedTuple):
    """The server gave a task group to an agent, whether or not the answer arrived."""

    true_s: float
    group_id: int
    lease_no: int
    agent: str
    leased_at: datetime
    until: datetime
    planned_at: datetime | None


class LeaseEnd(NamedTuple):
    """A lease ended before its time: by a report that counted, or by a hand-back."""

    true_s: float
    group_id: int
    lease_no: int


class Move(NamedTuple):
    """A result moved the state of its task."""

    true_s: float
    task_id: int
    group_id: int
    lease_no: int
    severity: Severity
    completed_at: datetime
    failures: int


class Attempt(NamedTuple):
    """A delivery was claimed, or its attempt ended."""

    true_s: float
    delivery_id: int
    claimed_by: str | None
    attempts: int
    state: str


class StoredResult(NamedTuple):
    """A result as the database has it in the end."""

    id: int
    task_id: int
    agent: str | None
    submitted_at: datetime
    severity: Severity
    is_late: bool


class StoredEvent(NamedTuple):
    """An event as the database has it in the end."""

    id: int
    task_id: int
    seq: int
    kind: EventKind
    at: datetime
    severity: Severity
    incident_id: int
    parent_id: int | None
    """The incident that speaks for its own."""


class StoredDelivery(NamedTuple):
    """A delivery as the database has it in the end."""

    id: int
    event_id: int | None
    recipient: str
    state: str
    attempts: int
    message_id: str
    """Of the message in which it goes, maybe with others."""
    created_at: datetime


class StoredTask(NamedTuple):
    """A task as the database has it in the end."""

    task_id: int
    group_id: int
    url: str
    severity: Severity
    told_severity: Severity
    completed_at: datetime | None
    retries: int
    event_count: int
    is_archived: bool
    location: str | None = None
    quorum: int | None = None
    watch: str | None = None
    """The same for all tasks of a check that is watched from several places."""


class Due(NamedTuple):
    """A task group was given another moment: of its next run, or of its lease's end."""

    true_s: float
    group_id: int
    at: datetime


class Sent(NamedTuple):
    """A notice arrived at its recipient."""

    true_s: float
    recipient: str
    message_id: str
    kind: NoticeKind
    task_id: int | None


class Reload(NamedTuple):
    """A config was applied, or it was tried."""

    true_s: float
    was_told_done: bool
    before: Tasks
    wanted: Tasks
    after: Tasks


@dataclass(frozen=True, slots=True)
class Truth:
    """When a website gave which status, in true seconds; 0: none at all."""

    outages: tuple[tuple[float, float, int], ...]

    def statuses(self, start_s: float, end_s: float) -> set[int]:
        """All that it gave in a span of time."""
        bad = [each for each in self.outages if each[0] <= end_s and each[1] > start_s]
        statuses = {status for _, _, status in bad}
        covers = any(from_s <= start_s and to_s >= end_s for from_s, to_s, _ in bad)
        return statuses if covers else statuses | {200}


@dataclass
class History:
    """All that the checker looks at."""

    leases: list[Lease] = field(default_factory=list)
    lease_ends: list[LeaseEnd] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    archivals: set[tuple[int, int]] = field(default_factory=set)
    """Tasks that a reload took away, with the number of events until then."""
    accepted: set[int] = field(default_factory=set)
    """The ids of results that were answered 201."""
    settled: set[Key] = field(default_factory=set)
    """Results of which the agent knows that they were taken, or refused."""
    spooled: set[Key] = field(default_factory=set)
    """Results that an agent wrote to its disk for later."""
    results: list[StoredResult] = field(default_factory=list)
    counted: Counter[int] = field(default_factory=Counter)
    """By task: how many results the rollups count."""
    left_out: Counter[int] = field(default_factory=Counter)
    """By task: how many results have no row."""
    events: list[StoredEvent] = field(default_factory=list)
    deliveries: list[StoredDelivery] = field(default_factory=list)
    tasks: list[StoredTask] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    troubles: list[float] = field(default_factory=list)
    """When something failed that may make a server send a notice again."""
    reloads: list[Reload] = field(default_factory=list)
    idle_duties: list[str] = field(default_factory=list)
    """Housework that nobody did in calm times."""
    dues: list[Due] = field(default_factory=list)
    truths: Mapping[tuple[str, str | None], Truth] = field(default_factory=dict)
    """By URL, and from where it is seen."""
    recipients: tuple[str, ...] = ()
    calm_s: float = 0.0
    """From here on no message was lost, and everything lived and told the right time."""
    end_s: float = 0.0
    end_at: datetime | None = None
    period_s: float = 60.0
    lease_s: float = 45.0
    slowest_s: float = 5.0
    """What a run may take from its lease to its report in calm times."""
    deaths: int = 0


def moves_by_task(history: History) -> dict[int, list[Move]]:
    """The moves of each task, in their order."""
    tasks = defaultdict(list)
    for move in history.moves:
        tasks[move.task_id].append(move)
    return tasks
