"""Housework: who does which, and the jobs that commands left to be done."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from argos.server.models import ConfigCache, Duty, Job, JobKind
from argos.server.queries.bulk import RowSource


class Turn(NamedTuple):
    """A duty that one server claimed, for a term."""

    name: str
    term: int
    """The fence: who claimed later has a higher one."""
    note: dict[str, Any] | None
    """What the duty left for its next turn."""


_DUTIES = RowSource({"name": "text", "due_at": "timestamptz"})
_ADD_DUTIES = """
INSERT INTO duties (name, term, due_at) SELECT name, 0, due_at FROM {rows} WHERE true
ON CONFLICT (name) DO NOTHING
"""


SET_BACK = timedelta(minutes=1)
"""A moment of ours that is further ahead was noted before a clock was set back."""

# Of the table, and built once: each server runs these some times a minute, for ever.
_TABLE: Any = Duty.__table__
_IS_DUE = or_(
    _TABLE.c.due_at <= bindparam("now"), _TABLE.c.finished_at > bindparam("not_yet")
)
_LIST_DUE = select(_TABLE.c.name).where(_IS_DUE)
_CLAIM = (
    update(_TABLE)
    .where(_TABLE.c.name == bindparam("duty"), _IS_DUE)
    .values(
        term=_TABLE.c.term + 1,
        holder=bindparam("claimed_by"),
        due_at=bindparam("until"),
    )
    .returning(_TABLE.c.term, _TABLE.c.note)
)
_OWN_TURN = (
    update(_TABLE)
    .where(
        _TABLE.c.name == bindparam("duty"), _TABLE.c.term == bindparam("claimed_term")
    )
    .returning(_TABLE.c.name)
)
_HOLD = _OWN_TURN.values(due_at=bindparam("until"), note=bindparam("left"))
_FINISH = _OWN_TURN.values(
    due_at=bindparam("next_at"),
    note=bindparam("left"),
    holder=None,
    finished_at=bindparam("now"),
)


def add_duties(session: Session, *, names: Sequence[str], now: datetime) -> None:
    """Enter duties that nobody ever did; they are due."""
    statement = text(_ADD_DUTIES.format(rows=_DUTIES.sql(session)))
    session.execute(
        statement, _DUTIES.parameters(session, [(name, now) for name in names])
    )


def get_note(session: Session, *, name: str) -> dict[str, Any] | None:
    """What a duty left for its next turn."""
    return session.scalar(select(Duty.note).where(Duty.name == name))


def list_due_duties(session: Session, *, now: datetime) -> list[str]:
    """The duties that are due, or whose holder's claim ran out.

    And those that were done in the future: a clock was set back, and nothing that looks
    after people may wait until it is as late again.
    """
    moments = {"now": now, "not_yet": now + SET_BACK}
    return list(session.scalars(_LIST_DUE, moments))


def claim_duty(
    session: Session, *, name: str, holder: str, now: datetime, until: datetime
) -> Turn | None:
    """Claim a duty; None: it is not due, or another server was faster."""
    parameters = {
        "duty": name,
        "claimed_by": holder,
        "now": now,
        "not_yet": now + SET_BACK,
        "until": until,
    }
    row = session.execute(_CLAIM, parameters).one_or_none()
    return None if row is None else Turn(name, row.term, row.note)


def hold_duty(
    session: Session, *, turn: Turn, until: datetime, note: dict[str, Any] | None
) -> bool:
    """Prolong a claim, and keep others out until the transaction ends; False: too late."""
    held = session.execute(_HOLD, {**_fence(turn), "until": until, "left": note})
    return held.first() is not None


def finish_duty(
    session: Session,
    *,
    turn: Turn,
    now: datetime,
    due_at: datetime,
    note: dict[str, Any] | None,
) -> bool:
    """End a turn; False when the claim had gone to another server."""
    ended = {"now": now, "next_at": due_at, "left": note}
    return session.execute(_FINISH, {**_fence(turn), **ended}).first() is not None


def _fence(turn: Turn) -> dict[str, object]:
    return {"duty": turn.name, "claimed_term": turn.term}


def get_first_job(session: Session) -> Job | None:
    """The oldest job that waits, or was cut off."""
    return session.scalars(select(Job).order_by(Job.id).limit(1)).one_or_none()


def begin_job(session: Session, *, id_: int) -> None:
    """Mark a job as under way."""
    session.execute(update(Job).where(Job.id == id_).values(current=True))


def delete_job(session: Session, *, id_: int) -> None:
    """Remove a job that is over."""
    session.execute(delete(Job).where(Job.id == id_))


def get_config_applied_at(session: Session) -> datetime | None:
    """When a config was applied last; None: never."""
    moment: datetime | None = session.scalar(select(func.max(ConfigCache.updated_at)))
    return moment


def add_reload_job(session: Session, *, path: str) -> bool:
    """Leave the reload of a config file to a running server; False: it waits already."""
    waiting = select(Job.id).where(
        Job.todo == JobKind.RELOAD_CONFIG, Job.args == path, Job.current.is_(False)
    )
    if session.scalars(waiting.limit(1)).one_or_none() is not None:
        return False
    session.add(Job(todo=JobKind.RELOAD_CONFIG, args=path))
    return True
