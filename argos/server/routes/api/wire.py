"""Tasks as agents get them: the keys of 0.10.3, in its order; then ours."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec.structs
from pydantic import BaseModel, create_model

from argos.protocol import Task
from argos.server.queries.leases import LeasedTask

NOTHING = b"[]"
_SHARED: Final = 13
"""So many fields stand first here as there (`LeasedTask`)."""


class TaskForm(StrEnum):
    """How much is said of a task."""

    LEGACY = "legacy"
    """What agents of 0.10.3 know."""
    FULL = "full"
    """All that there is."""
    LEAN = "lean"
    """What a probe needs, as far as it is not the usual."""


class LegacyTask(msgspec.Struct, frozen=True, gc=False):
    """What agents of 0.10.3 get."""

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
    selected_by: str


class OurTask(LegacyTask, frozen=True, gc=False):
    """What ours get."""

    group_id: int
    lease_no: int
    leased_at: str
    timeout_s: float
    options: dict[str, Any] | None
    due_in_s: float


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
    leased_at: str
    timeout_s: float
    request_data: str | None = None
    options: dict[str, Any] | None = None
    due_in_s: float = 0.0


def describe_task() -> type[BaseModel]:
    """A task as the documentation of the API shows it."""
    fields: dict[str, Any] = {
        field.name: (field.type, ... if field.required else field.default)
        for field in msgspec.structs.fields(Task)
    }
    return create_model(
        "Task", __doc__="One task, as the server hands it out.", **fields
    )


def encode_tasks(
    tasks: Sequence[LeasedTask], *, form: TaskForm, now: datetime
) -> bytes:
    """The answer to an agent, as JSON; all of the tasks were leased at one moment."""
    if not tasks:
        return NOTHING
    leased_at = tasks[0].leased_at
    # The lease has taken its time, and what is due does not wait for it.
    spent_s = (now - leased_at).total_seconds()
    described: Iterator[msgspec.Struct]
    match form:
        case TaskForm.LEGACY:
            described = _legacy_tasks(tasks, leased_at)
        case TaskForm.FULL:
            described = _our_tasks(tasks, leased_at, spent_s)
        case TaskForm.LEAN:
            described = _lean_tasks(tasks, leased_at, spent_s)
    return msgspec.json.encode(list(described))


def _legacy_tasks(
    tasks: Sequence[LeasedTask], leased_at: datetime
) -> Iterator[LegacyTask]:
    selected_at = _local_text(leased_at)
    for task in tasks:
        yield LegacyTask(*task[:_SHARED], selected_at, task.leased_by)


def _our_tasks(
    tasks: Sequence[LeasedTask], leased_at: datetime, spent_s: float
) -> Iterator[OurTask]:
    selected_at, text = _local_text(leased_at), leased_at.isoformat()
    for task in tasks:
        yield OurTask(
            *task[:_SHARED],
            selected_at,
            task.leased_by,
            task.group_id,
            task.lease_no,
            text,
            task.timeout_s,
            task.options,
            max(0.0, task.due_in_s - spent_s),
        )


def _lean_tasks(
    tasks: Sequence[LeasedTask], leased_at: datetime, spent_s: float
) -> Iterator[LeanTask]:
    text = leased_at.isoformat()
    for task in tasks:
        yield LeanTask(
            task.id,
            task.url,
            task.ip_version,
            task.check,
            task.method,
            task.expected,
            task.group_id,
            task.lease_no,
            text,
            task.timeout_s,
            task.request_data,
            task.options,
            max(0.0, task.due_in_s - spent_s),
        )


def _local_text(moment: datetime) -> str:
    """The local time without a zone, as 0.10.3 has it."""
    local = moment.astimezone().replace(tzinfo=None)
    return local.isoformat(timespec="microseconds")
