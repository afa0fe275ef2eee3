"""What was leased: task groups, and their tasks as agents get them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

DUE_S = 0.0
"""The `due_in_s` of what is due already; this very number goes without saying."""


class LeasedTask(msgspec.Struct, gc=False):
    """A task as an agent gets it, with the lease of its group: the keys of 0.10.3, in its
    order; then ours."""

    id: int
    url: str
    domain: str
    ip_version: str
    check: str
    method: str
    request_data: str | None
    add_alerts_recipients: str | None
    overwrite_alerts_recipients: str | None
    expected: str
    task_group: str
    retry_before_notification: int
    contiguous_failures: int
    selected_at: str
    """The local time without a zone, as 0.10.3 has it."""
    selected_by: str
    group_id: int
    lease_no: int
    leased_at: datetime
    timeout_s: float
    options: dict[str, Any] | None
    due_in_s: float
    """From the lease until it is due; 0 for what is due already."""


class LeanTask(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What ours ask for: two fifths of the bytes, which are read for each probe."""

    id: int
    url: str
    ip_version: str
    check: str
    method: str
    expected: str
    group_id: int
    lease_no: int
    leased_at: datetime
    timeout_s: float
    request_data: str | None = None
    options: dict[str, Any] | None = None
    due_in_s: float = DUE_S


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """What an agent may have beside groups that are due, for as long as their probes,
    and that anybody may have."""

    ahead: timedelta = timedelta()
    """Groups that fall due within this time are leased too, from then on."""
    min_lease: timedelta = timedelta()
    location: str | None = None
    """Where it stands: it may have what is to be looked at from there, too."""
    part: int | None = None
    """Of `PARTS`, the part of the queues that is looked at first: where much is due,
    leasers with different parts do not meet."""
    since: datetime | None = None
    """Nothing is due before, so that nobody looks there; None: that is not known.
    SQLite, whose index holds nothing that is over, may look there all the same."""
    is_lean: bool = False
    """Whether tasks are read as lean ones."""


_FIELDS = LeasedTask.__struct_fields__
_OWN = _FIELDS[: _FIELDS.index("selected_at")]
_LEAN = ("id", "url", "ip_version", "check", "method", "expected", "request_data")
TASK_COLUMNS = {
    is_lean: ", ".join(f't."{name}"' for name in ("group_id", *own))
    for is_lean, own in ((False, _OWN), (True, _LEAN))
}
"""The group first, then the task's own."""
LEASE_COLUMNS = "lease_no, next_run, timeout_s, options"


@dataclass(slots=True)
class Leased:
    """Groups that an agent has leased, and their tasks, as the database has them.

    They are made into what the agent gets when nobody waits for the transaction any more.
    """

    agent: str
    now: datetime
    terms: LeaseTerms
    to_moment: Callable[[Any], datetime | None]
    rows: list[Any] = field(default_factory=list)
    """`TASK_COLUMNS`."""
    leases: dict[int, Sequence[Any]] = field(default_factory=dict)
    """`LEASE_COLUMNS`, by group."""

    def read_tasks(self) -> list[LeasedTask]:
        """The tasks, unless they are lean."""
        selected_at = _local_text(self.now)
        of_groups: dict[int, Sequence[Any]] = {
            group_id: (
                selected_at, self.agent, group_id, lease_no, self.now, timeout_s,
                _read(options), self._due_in(self.to_moment(next_run)),
            )
            for group_id, (lease_no, next_run, timeout_s, options) in self.leases.items()
        }  # fmt: skip
        return [LeasedTask(*own, *of_groups[group_id]) for group_id, *own in self.rows]

    def read_lean(self) -> list[LeanTask]:
        """The tasks, if they are lean."""
        of_groups: dict[int, tuple[Any, Any]] = {
            group_id: (
                (group_id, lease_no, self.now, timeout_s),
                (_read(options), self._due_in(self.to_moment(next_run))),
            )
            for group_id, (lease_no, next_run, timeout_s, options) in self.leases.items()
        }  # fmt: skip
        tasks: list[LeanTask] = []
        for group_id, *own, request_data in self.rows:
            lease, probe = of_groups[group_id]
            values: Sequence[Any] = (*own, *lease, request_data, *probe)
            tasks.append(LeanTask(*values))
        return tasks

    def _due_in(self, next_run: datetime | None) -> float:
        """Seconds until a run that was just leased; one that was hurried is due at once."""
        if next_run is None or next_run - self.now > self.terms.ahead:
            return DUE_S
        return max(DUE_S, (next_run - self.now).total_seconds())


def _local_text(moment: datetime) -> str:
    local = moment.astimezone().replace(tzinfo=None)
    return local.isoformat(timespec="microseconds")


def _read(options: Any) -> dict[str, Any] | None:
    """A document as the drivers have it: a text on SQLite."""
    read: dict[str, Any] | None = (
        json.loads(options) if isinstance(options, str) else options
    )
    return read
