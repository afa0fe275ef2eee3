"""Many Python rows as one FROM item, so that a statement serves a whole batch."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, bindparam, func, select
from sqlalchemy.orm import Session

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
        return f"unnest({arrays}) AS u({', '.join(self.columns)})"

    def parameters(
        self, session: Session, rows: Sequence[Sequence[Any]]
    ) -> dict[str, Any]:
        """The statement's parameters; each row's values in the order of the columns."""
        if is_sqlite(session):
            encode = lru_cache(maxsize=None)(to_epoch_us)  # moments repeat in a batch
            return {"rows": json.dumps(rows, default=encode)}
        columns = zip(*rows, strict=True)
        return dict(zip(self.columns, map(list, columns), strict=True))
