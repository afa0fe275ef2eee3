"""Tasks as agents get them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace
from pydantic import BaseModel, create_model

from argos.protocol import Task
from argos.server.queries.leased import DUE_S, LeanTask, LeasedTask

NOTHING = b"[]"


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
    tasks: Sequence[LeasedTask] | Sequence[LeanTask], *, form: TaskForm, now: datetime
) -> bytes:
    """The answer to an agent, as JSON; all of the tasks were leased at one moment."""
    if not tasks:
        return NOTHING
    # The lease has taken its time, and what is due does not wait for it.
    spent_s = (now - tasks[0].leased_at).total_seconds()
    shown = [
        replace(task, due_in_s=max(DUE_S, task.due_in_s - spent_s))
        if task.due_in_s
        else task
        for task in tasks
    ]
    match form:
        case TaskForm.LEGACY:
            return msgspec.json.encode(_as(LegacyTask, shown))
        case TaskForm.LEAN:
            return msgspec.json.encode(_as(LeanTask, shown))
        case TaskForm.FULL:
            return msgspec.json.encode(shown)


def _as(
    kind: type[LegacyTask | LeanTask], tasks: Sequence[LeasedTask | LeanTask]
) -> Sequence[LegacyTask | LeasedTask | LeanTask]:
    """The tasks, with the fields of a kind."""
    if isinstance(tasks[0], kind):
        return tasks
    read_fields = attrgetter(*kind.__struct_fields__)
    return [kind(*read_fields(task)) for task in tasks]
