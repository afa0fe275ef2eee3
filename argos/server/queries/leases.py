"""The queue: who leases which task group, until when, and what is due next."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, TextualSelect, bindparam, select, text
from sqlalchemy.orm import Session

from argos.core.probe import IPVersion
from argos.core.schedule import LEASE_MARGIN, SHARDS
from argos.protocol import HeldLease
from argos.server.columns import UtcDateTime
from argos.server.models import Method, Schedule, Task
from argos.server.queries.bulk import RowSource, id_in, is_sqlite

EXPIRED_LEASES_BEFORE_BACKOFF = 3
"""From so many leases in a row on that ended without a report, the next ones double."""
MAX_DOUBLINGS = 6


class LeasedTask(NamedTuple):
    """A task as an agent gets it, with the lease of its group."""

    id: int
    group_id: int
    url: str
    domain: str
    ip_version: IPVersion
    check: str
    method: Method
    request_data: str | None
    add_alerts_recipients: str | None
    overwrite_alerts_recipients: str | None
    expected: str
    task_group: str
    retry_before_notification: int
    contiguous_failures: int
    timeout_s: float
    options: dict[str, Any] | None
    lease_no: int
    leased_at: datetime
    leased_by: str


# The tables' own columns: those of the classes go through the object-relational
# mapping, which takes as long as all the rest of the query.
_TASK_COLUMNS = [
    *(
        Task.__table__.c[name]
        for name in LeasedTask._fields[: LeasedTask._fields.index("timeout_s")]
    ),
    Schedule.__table__.c.timeout_s,
    Schedule.__table__.c.options,
]

# A lease that ran out leaves `leased_at` behind. A group that keeps doing so is held
# longer and longer, at most for its period: then it costs no more than any other.
_EXPIRED = "(CASE WHEN s.leased_at IS NULL THEN 0 ELSE 1 END + s.expired_leases)"
_LEASE_S = "{max}(s.timeout_s + :margin_s, :min_s)"
_HELD_S = (
    "{max}(" + _LEASE_S + ", {min}(s.frequency * 60, "
    + _LEASE_S + " * (1 << {max}({min}(" + _EXPIRED + " - :patience, :doublings), 0))))"
)  # fmt: skip
_SET = (
    "lease_no = s.lease_no + 1, leased_by = :agent, leased_at = :now, expired_leases ="
    " {min}(" + _EXPIRED + ", 1000)"
)

# Candidates are read without locks, in due order over all shards; then as many are
# locked as are wanted, stepping over those that another leaser holds. The row lock
# looks at `due_at` again, so that a group leased in between drops out. Each queue is
# read to a depth of twice its share: reading all that could be needed costs four times
# as much, and is needed only when few queues hold all that is due.
_LEASE_POSTGRESQL = """
WITH candidates AS MATERIALIZED (
  SELECT c.id FROM unnest(CAST(:pools AS smallint[])) AS p(pool)
  CROSS JOIN generate_series(0, :last_shard) AS h(shard)
  CROSS JOIN LATERAL (
    SELECT q.id, q.due_at FROM schedule q
    WHERE q.pool = p.pool AND q.shard = h.shard AND q.due_at <= :now
    ORDER BY q.due_at LIMIT :depth) AS c
  ORDER BY c.due_at),
due AS MATERIALIZED (
  SELECT d.id FROM candidates c CROSS JOIN LATERAL (
    SELECT q.id FROM schedule q WHERE q.id = c.id AND q.due_at <= :now
    FOR NO KEY UPDATE SKIP LOCKED) AS d
  LIMIT :count)
UPDATE schedule s
SET due_at = CAST(:now AS timestamptz) + make_interval(secs => {held_s}), {set}
FROM due WHERE s.id = due.id
RETURNING s.id, s.lease_no
"""

# One writer at a time: nobody else can be between the two SELECTs and the UPDATE.
_LEASE_SQLITE = """
UPDATE schedule AS s
SET due_at = :now + CAST(1000000 * {held_s} AS INTEGER), {set}
WHERE s.id IN (SELECT id FROM ({queues} ORDER BY due_at LIMIT :count))
RETURNING id, lease_no
"""
_QUEUE_SQLITE = (
    "SELECT id, due_at FROM schedule"
    " WHERE pool = {pool} AND shard = {shard} AND due_at <= :now"
)

_RELEASE = """
UPDATE schedule
SET leased_at = NULL, due_at = CASE WHEN next_run < :now THEN next_run ELSE :now END
WHERE id IN (
  SELECT s.id FROM schedule s JOIN {held} ON s.id = u.group_id
  WHERE s.lease_no = u.lease_no AND s.leased_by = :agent AND s.leased_at IS NOT NULL
  {lock})
RETURNING id
"""
_HELD = RowSource({"group_id": "bigint", "lease_no": "integer"})

_NEXT_DUE_POSTGRESQL = """
SELECT min(c.due_at) AS due_at FROM unnest(CAST(:pools AS smallint[])) AS p(pool)
CROSS JOIN generate_series(0, :last_shard) AS h(shard)
CROSS JOIN LATERAL (
  SELECT q.due_at FROM schedule q WHERE q.pool = p.pool AND q.shard = h.shard
  ORDER BY q.due_at LIMIT 1) AS c
"""
_NEXT_DUE_SQLITE = "SELECT min(due_at) AS due_at FROM ({queues})"
_FIRST_SQLITE = (
    "SELECT min(due_at) AS due_at FROM schedule WHERE pool = {pool} AND shard = {shard}"
)


def lease_groups(
    session: Session,
    *,
    agent: str,
    pools: Sequence[int],
    limit: int,
    now: datetime,
    min_lease: timedelta = timedelta(),
) -> list[LeasedTask]:
    """Lease up to `limit` due groups, earliest first; return their tasks.

    Two leasers never get the same group. The lease lasts as long as the probe may take
    plus a margin, and at least `min_lease`.
    """
    if not pools or limit < 1:
        return []
    statement = _lease_statement(is_sqlite(session), tuple(sorted(pools)))
    depth = min(limit, limit // SHARDS * 2 + SHARDS)
    parameters = {
        **_pool_parameters(session, pools),
        "now": now,
        "count": limit,
        "depth": depth,
        "agent": agent,
        "margin_s": LEASE_MARGIN.total_seconds(),
        "min_s": min_lease.total_seconds(),
        "patience": EXPIRED_LEASES_BEFORE_BACKOFF - 1,
        "doublings": MAX_DOUBLINGS,
    }
    rows = list(session.execute(statement, parameters))
    left = limit - len(rows)
    if left and len(rows) >= depth:
        # The rest may stand in few queues, deeper than was looked.
        rows += session.execute(statement, {**parameters, "count": left, "depth": left})
    lease_nos = {row.id: row.lease_no for row in rows}
    return _list_tasks(session, lease_nos, agent=agent, now=now)


def release_groups(
    session: Session, *, agent: str, held: Sequence[HeldLease], now: datetime
) -> list[int]:
    """Make groups due again that an agent holds and will not probe; return their ids.

    Leases that are not, or no longer, the agent's stay as they are.
    """
    if not held:
        return []
    rows = [(lease.group_id, lease.lease_no) for lease in held]
    statement = text(
        _RELEASE.format(
            held=_HELD.sql(session),
            # In id order, as everybody locks: so nobody waits in a circle.
            lock="" if is_sqlite(session) else "ORDER BY s.id FOR NO KEY UPDATE OF s",
        )
    ).bindparams(bindparam("now", type_=UtcDateTime))
    parameters = {"now": now, "agent": agent, **_HELD.parameters(session, rows)}
    return list(session.execute(statement, parameters).scalars())


def get_next_due_at(session: Session, *, pools: Sequence[int]) -> datetime | None:
    """When the next group of these pools is due, or its lease ends."""
    if not pools:
        return None
    statement = _next_due_statement(is_sqlite(session), tuple(sorted(pools)))
    parameters = _pool_parameters(session, pools)
    moment: datetime | None = session.execute(statement, parameters).scalar_one()
    return moment


def _list_tasks(
    session: Session, lease_nos: dict[int, int], *, agent: str, now: datetime
) -> list[LeasedTask]:
    if not lease_nos:
        return []
    rows = session.execute(
        select(*_TASK_COLUMNS)
        .join_from(Task, Schedule, Schedule.id == Task.group_id)
        .where(id_in(session, Task.group_id, lease_nos), Task.archived_at.is_(None))
        .order_by(Task.group_id, Task.id)
    )
    return [
        LeasedTask._make((*row, lease_nos[row.group_id], now, agent)) for row in rows
    ]


@cache
def _lease_statement(on_sqlite: bool, pools: tuple[int, ...]) -> TextualSelect:
    names = _FUNCTIONS[on_sqlite]
    parts = {"held_s": _HELD_S.format(**names), "set": _SET.format(**names)}
    if on_sqlite:
        parts["queues"] = _each_queue(_QUEUE_SQLITE, pools)
    template = _LEASE_SQLITE if on_sqlite else _LEASE_POSTGRESQL
    return (
        text(template.format(**parts))
        .bindparams(bindparam("now", type_=UtcDateTime))
        .columns(id=BigInteger, lease_no=Integer)
    )


@cache
def _next_due_statement(on_sqlite: bool, pools: tuple[int, ...]) -> TextualSelect:
    template = _NEXT_DUE_POSTGRESQL
    if on_sqlite:
        template = _NEXT_DUE_SQLITE.format(queues=_each_queue(_FIRST_SQLITE, pools))
    return text(template).columns(due_at=UtcDateTime)


def _each_queue(template: str, pools: tuple[int, ...]) -> str:
    queues = [(int(pool), shard) for pool in pools for shard in range(SHARDS)]
    return " UNION ALL ".join(
        template.format(pool=pool, shard=shard) for pool, shard in queues
    )


def _pool_parameters(session: Session, pools: Sequence[int]) -> dict[str, object]:
    if is_sqlite(session):
        return {}
    return {"pools": [int(pool) for pool in pools], "last_shard": SHARDS - 1}


_FUNCTIONS = {
    True: {"max": "max", "min": "min"},
    False: {"max": "greatest", "min": "least"},
}
