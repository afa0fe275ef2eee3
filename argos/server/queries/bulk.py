"""Many Python rows as one FROM item, so that a statement serves a whole batch."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    LargeBinary,
    any_,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.orm import Session

from argos.server.arrays import PackedArray, pack_array
from argos.server.columns import to_epoch_us


def is_sqlite(session: Session) -> bool:
    """Whether the session speaks to SQLite."""
    return session.get_bind().dialect.name == "sqlite"


def id_in(session: Session, column: Any, ids: Collection[int]) -> ColumnElement[bool]:
    """`column IN ids` with one parameter, so that the statement stays the same."""
    if is_sqlite(session):
        rows = func.json_each(json.dumps(list(ids))).table_valued("value")
        return column.in_(select(rows.c.value))  # type: ignore[no-any-return]  # as below
    array = bindparam(None, list(ids), type_=ARRAY(BigInteger), unique=True)
    return column == any_(array)  # type: ignore[no-any-return]  # column may be any


def id_list(
    session: Session, ids: Sequence[int]
) -> tuple[str, dict[str, PackedArray | str]]:
    """The same for a statement as text: what follows the column, and its parameter."""
    if is_sqlite(session):
        return "IN (SELECT value FROM json_each(:ids))", {"ids": json.dumps(ids)}
    return "= ANY(:ids)", {"ids": pack_array("bigint", ids)}


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
    ) -> None:
        """Run a writing statement, in which `{rows}` is the FROM item, for some rows.

        On SQLite row by row: there is no network between, and bytes fit in no JSON.
        """
        if not rows:
            return
        if not is_sqlite(session):
            statement = text(template.format(rows=self.sql(session)))
            session.execute(statement, self.parameters(session, rows))
            return
        marks = ", ".join(f'? AS "{name}"' for name in self.columns)
        connection = session.connection()
        connection.exec_driver_sql(
            template.format(rows=f"(SELECT {marks}) AS u"), self._native(rows)
        )

    def _native(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """The rows as SQLite's driver takes them: moments are numbers."""
        columns = [
            map(_native_moment, values) if kind == "timestamptz" else values
            for kind, values in zip(
                self.columns.values(), zip(*rows, strict=True), strict=True
            )
        ]
        return list(zip(*columns, strict=True))


def _native_moment(moment: datetime | None) -> int | None:
    return None if moment is None else to_epoch_us(moment)
