"""Housework, each piece done by one server at a time, claimed as a row for a term."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from argos.clock import Clock
from argos.errors import DatabaseError
from argos.schemas import Config
from argos.server.database import Database, Session
from argos.server.queries import duties as queries

log = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=1)
LONG_LOOK_INTERVAL = timedelta(minutes=1)
"""Between looks for duties that take long anyway."""
CLAIM_INTERVAL = timedelta(seconds=25)
"""How long a duty stays with a server that does not say it goes on."""
JOB_CLAIM_INTERVAL = timedelta(minutes=5)
"""The same where one step may take minutes, outside of the duty's transactions."""
RETRY_INTERVAL = timedelta(minutes=1)
"""A duty that failed is tried again after so long at the latest."""


class TurnLost(Exception):  # noqa: N818  # not an error: somebody else goes on
    """Another server has the duty by now."""


@dataclass(frozen=True, slots=True)
class Means:
    """What duties work with."""

    database: Database
    clock: Clock
    get_config: Callable[[], Config]
    holder: str
    """Names this process in its claims."""
    should_stop: Callable[[], bool] = lambda: False


class Work:
    """One turn at a duty."""

    def __init__(
        self, means: Means, duty: "Duty", turn: queries.Turn, now: datetime
    ) -> None:
        self.database = means.database
        self.config = means.get_config()
        self.now = now
        self.note: dict[str, Any] | None = turn.note
        """What the duty remembers; what is left here is there in the next turn."""
        self.wants_more = False
        """Set by a duty that has not come to its end: its next turn comes at once."""
        self._means = means
        self._duty = duty
        self._turn = turn

    @property
    def is_over(self) -> bool:
        """Whether the server stops, or it is time to let others have a turn."""
        elapsed = self._means.clock.utcnow() - self.now
        return self._means.should_stop() or elapsed > self._duty.claim / 5

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction in which the duty is surely ours; keeps the note with it.

        Raises TurnLost.
        """
        with self.database.transaction() as session:
            self._hold(session)
            # Until the transaction ends nobody else can claim it.
            held_at, kept = self._means.clock.utcnow(), deepcopy(self.note)
            yield session
            passed = self._means.clock.utcnow() - held_at
            if self.note != kept or abs(passed) > self._duty.claim / 10:
                self._hold(session)

    def _hold(self, session: Session) -> None:
        until = self._means.clock.utcnow() + self._duty.claim
        if not queries.hold_duty(session, turn=self._turn, until=until, note=self.note):
            raise TurnLost


@dataclass(frozen=True, slots=True)
class Duty:
    """A piece of housework."""

    name: str
    interval: timedelta
    """From the end of a turn to the beginning of the next."""
    do: Callable[[Work], None]
    claim: timedelta = CLAIM_INTERVAL
    """So long after its holder's death somebody else has it at the latest."""
    is_long: bool = False
    """A step of it may take minutes: no other duty is to wait for it."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a turn ended."""

    turn: queries.Turn
    interval: timedelta
    """Until the next one."""
    note: dict[str, Any] | None


class Upkeep:
    """A thread that does the duties that are due, one after the other."""

    def __init__(
        self,
        means: Means,
        duties: Sequence[Duty],
        *,
        on_look: Callable[[], None] = lambda: None,
        look_interval: timedelta = LOOK_INTERVAL,
    ) -> None:
        """`on_look` is what each server does for itself, time and again."""
        self._look_interval = look_interval
        self._stop = threading.Event()
        self._means = replace(means, should_stop=self._stop.is_set)
        self._on_look = on_look
        self._duties: Mapping[str, Duty] = {duty.name: duty for duty in duties}
        self._endings: list[_Ending] = []
        """Of turns, not written yet."""
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin the housework."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End; a turn that is cut off is done again by whoever claims it next."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        is_entered = False
        while not self._stop.is_set():
            try:
                if not is_entered:
                    self.enter()
                    is_entered = True
                self.do_due()
                self._on_look()
            except DatabaseError as err:
                log.warning("The housework waits: %s", err)
            except Exception:  # the thread must outlive whatever happens
                log.exception("The housework stumbled.")
            self._stop.wait(self._look_interval.total_seconds())

    def enter(self) -> None:
        """Make sure that each duty has its row."""
        now = self._means.clock.utcnow()
        with self._means.database.transaction() as session:
            queries.add_duties(session, names=list(self._duties), now=now)

    def do_due(self) -> None:
        """Do all that is due; what fails is logged, and keeps nothing else from us."""
        self._write_endings()
        now = self._means.clock.utcnow()
        with self._means.database.reading() as session:
            due = queries.list_due_duties(session, now=now)
        for name in due:
            duty = self._duties.get(name)
            if duty is not None and not self._stop.is_set():
                self._take_turn(duty)

    def _take_turn(self, duty: Duty) -> None:
        now = self._means.clock.utcnow()
        with self._means.database.transaction() as session:
            turn = queries.claim_duty(
                session,
                name=duty.name,
                holder=self._means.holder,
                now=now,
                until=now + duty.claim,
            )
        if turn is None:
            return
        work = Work(self._means, duty, turn, now)
        try:
            duty.do(work)
        except TurnLost:
            log.warning("Another server goes on with the duty %s.", duty.name)
            return
        except Exception as err:  # its bug must not keep the other duties from us
            if isinstance(err, DatabaseError):
                log.warning("The duty %s waits: %s", duty.name, err)
            else:
                log.exception("The duty %s failed.", duty.name)
            work.note = turn.note
            self._finish(turn, work, min(duty.interval, RETRY_INTERVAL))
            return
        self._finish(turn, work, timedelta() if work.wants_more else duty.interval)

    def _finish(self, turn: queries.Turn, work: Work, interval: timedelta) -> None:
        self._endings.append(_Ending(turn, interval, work.note))
        self._write_endings()

    def _write_endings(self) -> None:
        """Let turns end, also those at whose end the database was away.

        Else nobody would do these duties until the claims have run out.
        """
        while self._endings:
            ending = self._endings.pop()
            now = self._means.clock.utcnow()
            try:
                with self._means.database.transaction() as session:
                    queries.finish_duty(
                        session,
                        turn=ending.turn,
                        now=now,
                        due_at=now + ending.interval,
                        note=ending.note,
                    )
            except DatabaseError:
                self._endings.append(ending)
                raise
