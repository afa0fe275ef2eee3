"""What a process has of its database: it may fail at statement boundaries, and die."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from argos.server.database import Database
from tests.simulator.diary import Trigger


class ProcessDied(BaseException):
    """The process is gone, as by `kill -9`: whatever runs in it ends here."""


class Fault(StrEnum):
    """What happens at a statement."""

    BUSY = "busy"
    BROKEN = "broken"
    LOST_COMMIT = "lost commit"
    UNHEARD_COMMIT = "unheard commit"


@dataclass
class DiskFaults:
    """How likely each fault is, per statement or commit; all zero: a disk to trust."""

    busy: float = 0.0
    """Somebody else holds the database, when a transaction begins."""
    broken: float = 0.0
    """A statement fails in the middle of a transaction."""
    lost_commit: float = 0.0
    """The commit fails: nothing was done."""
    unheard_commit: float = 0.0
    """The commit succeeds, and its caller is told that it failed."""
    death: float = 0.0
    """The process dies, before a statement or right after a commit."""

    def calm_down(self) -> None:
        """No more faults."""
        self.busy = self.broken = self.lost_commit = self.unheard_commit = 0.0
        self.death = 0.0


class Store(Protocol):
    """The database of one world, as SQLite or PostgreSQL keeps it."""

    is_sqlite: bool

    def add_trigger(self, trigger: Trigger) -> None:
        """Let the database itself do something more, at each change."""

    def look(self) -> Any:
        """A driver's connection past all faults, each statement a transaction."""

    def open(self, disk: "Disk") -> Database:
        """The product's own database object, with the faults of a process."""

    def close(self, database: Database, disk: "Disk") -> None:
        """Close what a process has of it; locks go with it."""

    def delete(self) -> None:
        """Leave nothing behind."""


@dataclass
class Disk:
    """What one process has of the world's database."""

    store: Store
    faults: DiskFaults
    rng: random.Random
    true_seconds: Callable[[], float]
    is_dead: bool = False
    before_begin: Callable[[], None] = field(default=lambda: None)
    """Called where a thread of the process may be held up."""
    connections: list[Any] = field(default_factory=list)
    """The driver's."""

    def open(self) -> Database:
        """The product's own database object, on this disk."""
        return self.store.open(self)

    def close(self, database: Database) -> None:
        """Close its connections.

        Also those that a dead call still holds, which the garbage collector may find
        late: with a process go its locks.
        """
        self.store.close(database, self)
        self.connections.clear()

    def hit(self, chance: float) -> bool:
        """Whether a fault of this chance happens now."""
        return chance > 0 and self.rng.random() < chance

    def die(self) -> None:
        """From now on, whatever the process tries ends it."""
        self.is_dead = True
        raise ProcessDied

    def check_alive(self) -> None:
        """Nothing happens in a process that is dead."""
        if self.is_dead:
            raise ProcessDied

    def before_statement(self, *, begins: bool) -> Fault | None:
        """What comes between a process and a statement, maybe a transaction's first."""
        self.check_alive()
        if begins:
            self.before_begin()
            self.check_alive()
            if self.hit(self.faults.busy):
                return Fault.BUSY
        if self.hit(self.faults.death):
            self.die()
        return Fault.BROKEN if self.hit(self.faults.broken) else None

    def before_commit(self) -> Fault | None:
        """What keeps a process from its commit."""
        self.check_alive()
        return Fault.LOST_COMMIT if self.hit(self.faults.lost_commit) else None

    def after_commit(self) -> Fault | None:
        """What keeps a process from hearing of its commit."""
        if self.hit(self.faults.death):
            self.die()
        return Fault.UNHEARD_COMMIT if self.hit(self.faults.unheard_commit) else None


class Holdup:
    """Runs a call in a thread that can be held up wherever a transaction begins.

    One thread runs at a time, ours or the call's: the simulation stays deterministic.
    """

    def __init__(self, call: Callable[[], Any], *, transactions: int) -> None:
        """It is held up before the n-th of its transactions."""
        self._call = call
        self._left = transactions
        self._ours = threading.Semaphore(0)
        self._theirs = threading.Semaphore(0)
        self._outcome: Any = None
        self._error: BaseException | None = None
        self.is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def advance(self) -> bool:
        """Let it run until it is held up, or over; whether it is over."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._theirs.release()
        self._ours.acquire()
        return self.is_over

    def result(self) -> Any:
        """What the call returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._outcome

    def before_begin(self) -> None:
        """To be called by the disk; holds up our own thread only."""
        if threading.current_thread() is not self._thread:
            return
        self._left -= 1
        if self._left == 0:
            self._ours.release()
            self._theirs.acquire()

    def _run(self) -> None:
        try:
            self._outcome = self._call()
        except BaseException as err:  # noqa: BLE001  # handed over by `result`
            self._error = err
        self.is_over = True
        self._ours.release()
