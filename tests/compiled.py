"""Compiled statements that all engines of this process share.

Each test has a database of its own, and so engines of its own: each of them would compile
anew what others have compiled before.
"""

from collections.abc import Hashable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

STATEMENTS = 2_000
"""More than there are in all tests of a process: none is compiled twice."""


class _Shared(LRUCache[Any, Any]):
    """Asks for which statement, not for which of many equal dialects."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key[1:], value)


@cache
def _statements(*_kind: Hashable) -> _Shared:
    """Those for a kind of database: each version may be spoken to in words of its own."""
    return _Shared(STATEMENTS)


def _share(connection: Connection) -> None:
    dialect = connection.dialect
    kind = (dialect.name, dialect.driver, dialect.server_version_info)
    connection.execution_options(compiled_cache=_statements(*kind))


def share_compiled_statements() -> None:
    """Let every engine of this process use them, from now on."""
    event.listen(Engine, "engine_connect", _share)
