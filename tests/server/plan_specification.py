"""What reconcile must do, as a pure function: the database does the same, set by set."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argos.server.plan import TaskAttributes, WantedTask


@dataclass(frozen=True, slots=True)
class PresentTask:
    """A task as the database has it."""

    id: int
    is_archived: bool
    attributes: TaskAttributes


@dataclass(frozen=True, slots=True)
class Changes:
    """What must happen to the present tasks."""

    add: Sequence[WantedTask] = ()
    update: Sequence[tuple[int, WantedTask]] = ()
    restore: Sequence[tuple[int, WantedTask]] = ()
    """Archived tasks that the config names again; counted as added."""
    archive: Sequence[int] = ()


def changes(
    present: Mapping[bytes, PresentTask], wanted: Mapping[bytes, WantedTask]
) -> Changes:
    """What turns the present tasks into the wanted ones; nothing when they agree."""
    add: list[WantedTask] = []
    update: list[tuple[int, WantedTask]] = []
    restore: list[tuple[int, WantedTask]] = []
    for key, task in wanted.items():
        known = present.get(key)
        if known is None:
            add.append(task)
        elif known.is_archived:
            restore.append((known.id, task))
        elif known.attributes != task.attributes:
            update.append((known.id, task))
    archive = [
        task.id
        for key, task in present.items()
        if key not in wanted and not task.is_archived
    ]
    return Changes(add, update, restore, archive)


def apply(
    present: Mapping[bytes, PresentTask], todo: Changes
) -> dict[bytes, PresentTask]:
    """What the database holds after the changes; new tasks have made-up ids."""
    after = {
        key: dataclasses.replace(
            task, is_archived=task.is_archived or task.id in todo.archive
        )
        for key, task in present.items()
    }
    for id_, task in [*todo.update, *todo.restore]:
        after[task.key] = PresentTask(id_, False, task.attributes)
    for number, task in enumerate(todo.add, 1_000):
        after[task.key] = PresentTask(number, False, task.attributes)
    return after
