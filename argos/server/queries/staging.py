"""What the config wants, in temporary tables beside what is there.

A million tasks go in as a stream; what must change is then found by the database. The
columns follow the fields of the records of `plan` and have the types of the tables that
they lead to, so that a new attribute needs nothing here.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    MetaData,
    String,
    Table,
    text,
)
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex, CreateTable

from argos.core.schedule import shard
from argos.server.models import Schedule, Task, Website
from argos.server.plan import (
    Expansion,
    TaskAttributes,
    WantedGroup,
    WantedTask,
    WantedWebsite,
)
from argos.server.queries.bulk import is_sqlite

_TEMPORARY = MetaData()


def _staged(name: str, model: Any, columns: Iterable[str]) -> Table:
    types = model.__table__.c
    return Table(
        name,
        _TEMPORARY,
        Column("position", BigInteger),
        *(Column(column, types[column].type) for column in columns),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


IDENTITY = WantedTask._fields[: WantedTask._fields.index("attributes")]
"""The columns of a task that never change."""
ATTRIBUTES = tuple(name for name in TaskAttributes._fields if name != "group_key")
"""Those that may; the task's group is one more, by its key."""
_IP_VERSION = IDENTITY.index("ip_version")

wanted_websites = _staged("wanted_websites", Website, WantedWebsite._fields)
wanted_groups = _staged("wanted_groups", Schedule, [*WantedGroup._fields, "shard"])
wanted_tasks = _staged("wanted_tasks", Task, [*IDENTITY, *ATTRIBUTES])
wanted_tasks.append_column(Column("group_key", Schedule.__table__.c.key.type))
task_changes = Table(
    "task_changes",
    _TEMPORARY,
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)

_KEYS = [
    Index("wanted_websites_domain", wanted_websites.c.domain, unique=True),
    Index("wanted_groups_key", wanted_groups.c.key, unique=True),
    Index("wanted_tasks_key", wanted_tasks.c.key, unique=True),
]


def stage(session: Session, expansion: Expansion) -> None:
    """Put all that the config wants into temporary tables."""
    for table in _TEMPORARY.tables.values():
        session.execute(CreateTable(table))
    _fill(session, wanted_tasks, _task_rows(expansion.tasks()))
    _fill(session, wanted_websites, _website_rows(expansion.websites.values()))
    _fill(session, wanted_groups, _group_rows(expansion.groups.values()))
    if not is_sqlite(session):
        # Statistics are enough there: it joins by hashing.
        session.execute(text("ANALYZE wanted_tasks, wanted_websites, wanted_groups"))
        return
    for index in _KEYS:
        session.execute(CreateIndex(index))


def _task_rows(tasks: Iterable[WantedTask]) -> Iterator[tuple[Any, ...]]:
    assert TaskAttributes._fields[-1] == "group_key", "the last column, there as here"
    for place, task in enumerate(tasks):
        *identity, attributes = task
        # PostgreSQL's driver writes an enum's name where its value belongs.
        identity[_IP_VERSION] = task.ip_version.value
        yield (place, *identity, *attributes)


def _website_rows(websites: Iterable[WantedWebsite]) -> Iterator[tuple[Any, ...]]:
    for place, site in enumerate(websites):
        tags = json.dumps(site.tags) if site.tags else None
        yield (place, *site._replace(tags=tags))  # type: ignore[arg-type]  # as it is stored


def _group_rows(groups: Iterable[WantedGroup]) -> Iterator[tuple[Any, ...]]:
    return ((place, *group, shard(group.key)) for place, group in enumerate(groups))


def _fill(session: Session, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Copy rows in as they come, past the ORM and past a list of them."""
    cursor: Any = session.connection().connection.cursor()
    if is_sqlite(session):
        marks = ", ".join("?" * len(table.c))
        cursor.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)  # noqa: S608  # a name of ours
        return
    names = ", ".join(f'"{column.name}"' for column in table.c)
    with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
