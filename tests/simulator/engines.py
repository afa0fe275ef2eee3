"""The product's own database objects, whose connections a store makes."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from sqlalchemy import event

from argos.server.database import Database
from tests.simulator.disk import Disk

Connect = Callable[[Any, Disk | None, list[Any], dict[str, Any]], Any]
"""Connects with a place, for a process if there is one; the rest is SQLAlchemy's."""
OnConnect = Callable[[Any, object], None]


class Engines:
    """Each serves one process after the other, as compiled statements stay with it."""

    def __init__(self, connect: Connect, on_connect: OnConnect) -> None:
        """`on_connect` comes after what the product does to a new connection."""
        self._connect = connect
        self._on_connect = on_connect
        self._idle: list[Database] = []
        self._places: dict[Any, tuple[Any, Disk]] = {}

    def open(self, url: str, place: object, disk: Disk) -> Database:
        """One that connects with a place, on the disk of a process."""
        database = self._idle.pop() if self._idle else self._make(url)
        for engine in database.engines:
            self._places[engine.dialect] = (place, disk)
        return database

    def close(self, database: Database) -> None:
        """End its connections, for the next process."""
        database.close()
        self._idle.append(database)

    def _make(self, url: str) -> Database:
        database = Database(url)
        # Nobody runs beside us; a thread that is held up must not hold up all others.
        database._write_turn = nullcontext()
        for engine in database.engines:
            event.listen(engine, "do_connect", self._do_connect)
            event.listen(engine, "connect", self._on_connect)
            # An engine's first connection asks what the database can do. It must meet
            # no fate, or the first simulation of a process would go another way than
            # all later ones.
            engine.connect().close()
            engine.dispose()
        return database

    def _do_connect(
        self, dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]
    ) -> Any:
        place, disk = self._places.get(dialect, (None, None))
        return self._connect(place, disk, arguments, options)
