"""Many Python rows as one FROM item, so that a statement serves a whole batch."""

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    Text,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from argos.server.arrays import PackedArray, pack_array
from argos.server.columns import from_epoch_us, to_epoch_us

_CHUNKS = (20, 4, 1)
"""So many rows are written by one statement: few sizes, of which each is prepared once."""
_PARAMETER = re.compile(r":(\w+)")


def is_sqlite(session: Session) -> bool:
    """Whether the session speaks to SQLite."""
    return session.get_bind().dialect.name == "sqlite"


def run(session: Session, sql: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """Run a statement with `:named` parameters as it stands; return its rows, if any.

    The driver gets it without detours, and values go and come as the driver has them: a
    fifth of what other statements cost beside the database's own work.
    """
    text_ = sql if is_sqlite(session) else _for_psycopg(sql)
    result = session.connection().exec_driver_sql(text_, dict(parameters))
    if not result.returns_rows:
        return ()
    try:
        # Of its own rows SQLAlchemy would make others.
        rows: Sequence[Any] = result.cursor.fetchall()
    except sqlite3.OperationalError as err:  # of a row that is read later than others
        raise OperationalError(sql, None, err) from err
    result.close()
    return rows


@lru_cache(maxsize=1024)
def _for_psycopg(sql: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


def driver_moment(session: Session, moment: datetime) -> datetime | int:
    """A moment as `run` takes it."""
    return to_epoch_us(moment) if is_sqlite(session) else moment


def moment_reader(session: Session) -> Callable[[Any], datetime | None]:
    """What makes a moment, or None, of what `run` returns."""
    return _from_sqlite if is_sqlite(session) else _from_postgresql


def _from_sqlite(value: int | None) -> datetime | None:
    return None if value is None else from_epoch_us(value)


def _from_postgresql(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)


def id_in(session: Session, column: Any, ids: Collection[int]) -> ColumnElement[bool]:
    """`column IN ids` with one parameter, so that the statement stays the same."""
    if is_sqlite(session):
        rows = func.json_each(json.dumps(list(ids))).table_valued("value")
        return column.in_(select(rows.c.value))  # type: ignore[no-any-return]  # as below
    array = bindparam(None, list(ids), type_=ARRAY(BigInteger), unique=True)
    return column == any_(array)  # type: ignore[no-any-return]  # column may be any


def bound_ids(column: Any, *, on_sqlite: bool) -> ColumnElement[bool]:
    """The same for a statement that is built once: the ids are its parameter `ids`."""
    if on_sqlite:
        rows = func.json_each(bindparam("ids", type_=Text)).table_valued("value")
        return column.in_(select(rows.c.value))  # type: ignore[no-any-return]  # as below
    return column == any_(bindparam("ids", type_=ARRAY(BigInteger)))  # type: ignore[no-any-return]  # column may be any


def ids_parameter(session: Session, ids: Collection[int]) -> str | list[int]:
    """What such a statement takes as `ids`."""
    return json.dumps(list(ids)) if is_sqlite(session) else list(ids)


def id_list(
    session: Session, ids: Sequence[int]
) -> tuple[str, dict[str, PackedArray | str]]:
    """The same for a statement as text: what follows the column, and its parameter."""
    if is_sqlite(session):
        return "IN (SELECT value FROM json_each(:ids))", {"ids": json.dumps(ids)}
    return "= ANY(:ids)", {"ids": pack_array("bigint", ids)}


def text_in(
    session: Session, column: Any, texts: Collection[str]
) -> ColumnElement[bool]:
    """`column IN texts`, likewise."""
    if is_sqlite(session):
        rows = func.json_each(json.dumps(list(texts))).table_valued("value")
        return column.in_(select(rows.c.value))  # type: ignore[no-any-return]  # as below
    array = bindparam(None, list(texts), type_=ARRAY(Text), unique=True)
    return column == any_(array)  # type: ignore[no-any-return]  # column may be any


def key_in(
    session: Session, column: Any, keys: Collection[bytes]
) -> ColumnElement[bool]:
    """`column IN keys`, likewise; SQLite has no arrays of bytes."""
    if is_sqlite(session):
        return column.in_(keys)  # type: ignore[no-any-return]  # as below
    array = bindparam(None, list(keys), type_=ARRAY(LargeBinary), unique=True)
    return column == any_(array)  # type: ignore[no-any-return]  # column may be any


@dataclass(frozen=True, slots=True)
class RowSource:
    """The columns of such rows: names with their PostgreSQL types.

    A moment is a `timestamptz`, a JSON document a text of type `jsonb`.
    """

    columns: Mapping[str, str]

    def sql(self, session: Session) -> str:
        """The FROM item, named `u`: `unnest` on PostgreSQL, `json_each` on SQLite."""
        if is_sqlite(session):
            # Not ->>, which SQLite knows from 3.38 on only.
            fields = ", ".join(
                f"json_extract(value, '$[{place}]') AS {name}"
                for place, name in enumerate(self.columns)
            )
            return f"(SELECT {fields} FROM json_each(:rows)) AS u"  # noqa: S608  # names of columns
        arrays = ", ".join(
            f"CAST(:{name} AS {kind}[])" for name, kind in self.columns.items()
        )
        names = ", ".join(f'"{name}"' for name in self.columns)
        return f"unnest({arrays}) AS u({names})"

    def parameters(
        self, session: Session, rows: Sequence[Sequence[Any]]
    ) -> dict[str, Any]:
        """The statement's parameters; each row's values in the order of the columns."""
        if is_sqlite(session):
            encode = lru_cache(maxsize=None)(to_epoch_us)  # moments repeat in a batch
            return {"rows": json.dumps(rows, default=encode)}
        return {
            name: pack_array(kind, values)
            for (name, kind), values in zip(
                self.columns.items(), zip(*rows, strict=True), strict=True
            )
        }

    def write(
        self, session: Session, template: str, rows: Sequence[Sequence[Any]]
    ) -> int:
        """Run a writing statement, in which `{rows}` is the FROM item, for some rows.

        On SQLite by their values, as bytes fit in no JSON.
        Returns how many rows were written.
        """
        if not rows:
            return 0
        connection = session.connection()
        if not is_sqlite(session):
            sql = _for_psycopg(template.format(rows=self.sql(session)))
            values = self.parameters(session, rows)
            return connection.exec_driver_sql(sql, values).rowcount
        columns = [
            list(map(NATIVE[kind], values)) if kind in NATIVE else values
            for kind, values in zip(
                self.columns.values(), zip(*rows, strict=True), strict=True
            )
        ]
        return write_chunks(
            connection,
            partial(_for_some_rows, template, tuple(self.columns)),
            list(zip(*columns, strict=True)),
        )


def write_chunks(
    connection: Connection, sql: Callable[[int], str], rows: Sequence[Sequence[Any]]
) -> int:
    """Write rows to SQLite, many with each call; return how many were written.

    `sql` makes the statement for so many rows. While SQLite works, others may: a call
    for each row would wait for them after each.
    """
    written = begin = 0
    for size in _CHUNKS:
        end = len(rows) - (len(rows) - begin) % size
        chunks = [
            tuple(chain.from_iterable(rows[start : start + size]))
            for start in range(begin, end, size)
        ]
        if chunks:
            written += connection.exec_driver_sql(sql(size), chunks).rowcount
        begin = end
    return written


@lru_cache(maxsize=256)
def _for_some_rows(template: str, names: Sequence[str], count: int) -> str:
    """A writing statement for some rows, whose values are its parameters.

    What a statement has done before it fails is undone with the transaction: so that it
    could be undone alone, SQLite would copy each page that it changes.
    """
    if template.lstrip().startswith("UPDATE"):
        template = template.replace("UPDATE", "UPDATE OR FAIL", 1)
    values = ", ".join([f"({', '.join('?' * len(names))})"] * count)
    fields = ", ".join(
        f'column{place} AS "{name}"' for place, name in enumerate(names, 1)
    )
    return template.format(rows=f"(SELECT {fields} FROM (VALUES {values})) AS u")  # noqa: S608  # names of columns


def _native_moment(moment: datetime | None) -> int | None:
    return None if moment is None else to_epoch_us(moment)


@lru_cache(maxsize=64)
def _native_name(member: str | None) -> str | None:
    return None if member is None else str(member)


def _native_truth(truth: bool | None) -> int | None:
    return None if truth is None else int(truth)


NATIVE: Mapping[str, Callable[[Any], Any]] = {
    "timestamptz": _native_moment,
    "severity": _native_name,
    "status": _native_name,
    "boolean": _native_truth,
}
"""Makes of a value of each type what SQLite's driver takes at once.

It takes members of enums and truths too, but looks for an adapter of each.
"""
