"""The queue: who leases which task group, until when, and what is due next."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from sqlalchemy.orm import Session

from argos.core.schedule import LEASE_MARGIN, SHARDS
from argos.protocol import HeldLease
from argos.server.queries.bulk import (
    RowSource,
    driver_moment,
    id_list,
    is_sqlite,
    moment_reader,
    run,
)
from argos.server.queries.leased import (
    LEASE_COLUMNS,
    TASK_COLUMNS,
    Leased,
    LeaseTerms,
)

EXPIRED_LEASES_BEFORE_BACKOFF = 3
"""From so many leases in a row on that ended without a report, the next ones double."""
MAX_DOUBLINGS = 6


DUE_NOW = LeaseTerms()
PARTS = 4

_ALL_SHARDS = tuple(range(SHARDS))
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

# A lease that ran out leaves `leased_at` behind. A group that keeps doing so is held
# longer and longer, at most for its period: then it costs no more than any other.
_EXPIRED = "(CASE WHEN s.leased_at IS NULL THEN 0 ELSE 1 END + s.expired_leases)"
# Who saw a new problem leaves the run that is to confirm it to others, for as long as
# a lease would take. Then it is told anyway, and anybody may look.
_MAY_HAVE = (
    "(location IS NULL OR location = :location) AND "
    "((not_for IS NULL OR not_for <> :agent) AND (not_at IS NULL OR not_at <> coalesce("
    "(SELECT a.location FROM agents a WHERE a.name = :agent), '')) OR {waited})"
)
_WAITED = {
    True: "due_at + CAST(1000000 * (timeout_s + :margin_s) AS INTEGER) <= :now",
    False: "due_at + make_interval(secs => timeout_s + :margin_s) <= :now",
}
_LEASE_S = "{max}(s.timeout_s + :margin_s, :min_s)"
_HELD_S = (
    "{max}(" + _LEASE_S + ", {min}(s.frequency * 60, "
    + _LEASE_S + " * (1 << {max}({min}(" + _EXPIRED + " - :patience, :doublings), 0))))"
)  # fmt: skip
_SET = (
    "lease_no = s.lease_no + 1, leased_by = :agent, leased_at = :now, expired_leases ="
    " {min}(" + _EXPIRED + ", 1000)"
)

# What is leased is due when the lease ends, and not a moment before.
_IS_DUE = "due_at <= :horizon AND (due_at <= :now OR leased_at IS NULL)"

# Candidates are read without locks, in due order over all shards; then as many are
# locked as are wanted, stepping over those that another leaser holds. The row lock
# looks at `due_at` again, so that a group leased in between drops out. Each queue is
# read to a depth of twice its share: reading all that could be needed costs four times
# as much, and is needed only when few queues hold all that is due. The tasks come by
# their index whatever the planner believes: of a fleet that was just loaded it has no
# statistics, and would read all of it. So the inner query, by its order, stays apart.
_LEASE_POSTGRESQL = """
WITH candidates AS MATERIALIZED (
  SELECT c.id FROM unnest(CAST(:pools AS smallint[])) AS p(pool)
  CROSS JOIN unnest(CAST(:shards AS smallint[])) AS h(shard)
  CROSS JOIN LATERAL (
    SELECT q.id, q.due_at FROM schedule q
    WHERE q.pool = p.pool AND q.shard = h.shard AND q.due_at >= :since
      AND {is_due} AND {may_have}
    ORDER BY q.due_at LIMIT :depth) AS c
  ORDER BY c.due_at),
due AS MATERIALIZED (
  SELECT d.id FROM candidates c CROSS JOIN LATERAL (
    SELECT q.id FROM schedule q WHERE q.id = c.id AND {is_due}
    FOR NO KEY UPDATE SKIP LOCKED) AS d
  LIMIT :count),
leased AS (
  UPDATE schedule s
  SET due_at = greatest(CAST(:now AS timestamptz), s.due_at)
    + make_interval(secs => {held_s}), {set}
  FROM due WHERE s.id = due.id
  RETURNING s.id, s.lease_no, s.next_run, s.timeout_s, s.options)
SELECT l.lease_no, l.next_run, l.timeout_s, l.options, {columns}
FROM leased l CROSS JOIN LATERAL (
  SELECT * FROM tasks t WHERE t.group_id = l.id AND t.archived_at IS NULL
  ORDER BY t.id) AS t
"""

# One writer at a time: nobody else can be between the two SELECTs and the UPDATE.
_LEASE_SQLITE = """
UPDATE OR FAIL schedule AS s
SET due_at = max(:now, s.due_at) + CAST(1000000 * {held_s} AS INTEGER), {set}
WHERE s.id IN (SELECT id FROM ({queues} ORDER BY due_at LIMIT :count))
RETURNING id, {lease_columns}
"""
_LIST_SQLITE = """
SELECT {columns} FROM tasks t
WHERE t.group_id {in_ids} AND t.archived_at IS NULL
ORDER BY t.group_id, t.id
"""
_QUEUE_SQLITE = (
    "SELECT id, due_at FROM schedule"
    " WHERE pool = {pool} AND shard = {shard} AND {is_due} AND {may_have}"
)

_RELEASE = """
UPDATE schedule
SET leased_at = NULL, due_at = coalesce(next_run, :now)
WHERE id IN (
  SELECT s.id FROM schedule s JOIN {held} ON s.id = u.group_id
  WHERE s.lease_no = u.lease_no AND s.leased_by = :agent AND s.leased_at IS NOT NULL
  {lock})
RETURNING id
"""
_HELD = RowSource({"group_id": "bigint", "lease_no": "integer"})

_NEXT_DUE_POSTGRESQL = """
SELECT min(c.due_at) AS due_at FROM unnest(CAST(:pools AS smallint[])) AS p(pool)
CROSS JOIN unnest(CAST(:shards AS smallint[])) AS h(shard)
CROSS JOIN LATERAL (
  SELECT q.due_at FROM schedule q
  WHERE q.pool = p.pool AND q.shard = h.shard AND q.due_at >= :since
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
    terms: LeaseTerms = DUE_NOW,
) -> Leased:
    """Lease up to `limit` due groups, earliest first.

    Two leasers never get the same group. The lease lasts as long as the probe may take
    plus a margin, and at least as long as the terms say. Groups that wait for a
    second opinion go to other agents than the one that asks for it, at other locations.
    """
    leased = Leased(agent, now, terms, moment_reader(session))
    if not pools or limit < 1:
        return leased
    parameters = {
        "pools": [int(pool) for pool in pools],
        "now": driver_moment(session, now),
        "horizon": driver_moment(session, now + terms.ahead),
        "since": driver_moment(session, terms.since or _EVER),
        "agent": agent,
        "location": terms.location,
        "margin_s": LEASE_MARGIN.total_seconds(),
        "min_s": terms.min_lease.total_seconds(),
        "patience": EXPIRED_LEASES_BEFORE_BACKOFF - 1,
        "doublings": MAX_DOUBLINGS,
    }
    statement = partial(
        _lease_sql, is_sqlite(session), tuple(sorted(pools)), terms.is_lean
    )

    def look(shards: tuple[int, ...], *, depth: int | None = None) -> int:
        """How many groups are still wanted after a look so deep into each queue."""
        left = limit - len(leased.leases)
        depth = min(depth or left, left)
        more = {"shards": list(shards), "count": left, "depth": depth}
        _lease(session, statement(shards), parameters | more, leased)
        return limit - len(leased.leases)

    left = limit
    if terms.part is not None:
        part = _ALL_SHARDS[terms.part % PARTS :: PARTS]
        left = look(part, depth=_depth(limit, part))
    if left:
        left = look(_ALL_SHARDS, depth=_depth(limit, _ALL_SHARDS))
    if 0 < left <= limit - _depth(limit, _ALL_SHARDS):
        # The rest may stand in few queues, deeper than was looked.
        look(_ALL_SHARDS)
    return leased


def _depth(limit: int, shards: Sequence[int]) -> int:
    """How deep to look into each queue: twice as much as when all hold the same."""
    return 2 * limit // len(shards) + 4


def release_groups(
    session: Session, *, agent: str, held: Sequence[HeldLease], now: datetime
) -> list[int]:
    """Make groups due again that an agent holds and will not probe; return their ids.

    Leases that are not, or no longer, the agent's stay as they are.
    """
    if not held:
        return []
    rows = [(lease.group_id, lease.lease_no) for lease in held]
    sql = _RELEASE.format(
        held=_HELD.sql(session),
        # In id order, as everybody locks: so nobody waits in a circle.
        lock="" if is_sqlite(session) else "ORDER BY s.id FOR NO KEY UPDATE OF s",
    )
    parameters = {
        "now": driver_moment(session, now),
        "agent": agent,
        **_HELD.parameters(session, rows),
    }
    return [row[0] for row in run(session, sql, parameters)]


def get_next_due_at(
    session: Session, *, pools: Sequence[int], since: datetime | None = None
) -> datetime | None:
    """When the next group of these pools is due, or its lease ends.

    `since` is that of `LeaseTerms`.
    """
    if not pools:
        return None
    sql = _next_due_sql(is_sqlite(session), tuple(sorted(pools)))
    parameters = {
        "pools": [int(pool) for pool in pools],
        "shards": list(_ALL_SHARDS),
        "since": driver_moment(session, since or _EVER),
    }
    [(moment,)] = run(session, sql, parameters)
    return moment_reader(session)(moment)


def _lease(
    session: Session, sql: str, parameters: Mapping[str, Any], leased: Leased
) -> None:
    rows = run(session, sql, parameters)
    if not is_sqlite(session):
        leased.rows += [row[4:] for row in rows]
        leased.leases |= {row[4]: row[:4] for row in rows}
        return
    leases = {id_: lease for id_, *lease in rows}
    if leases:
        in_ids, ids = id_list(session, list(leases))
        columns = TASK_COLUMNS[leased.terms.is_lean]
        sql = _LIST_SQLITE.format(in_ids=in_ids, columns=columns)
        leased.rows += run(session, sql, ids)
        leased.leases |= leases


@lru_cache(maxsize=256)
def _lease_sql(
    on_sqlite: bool, pools: tuple[int, ...], is_lean: bool, shards: tuple[int, ...]
) -> str:
    names = _FUNCTIONS[on_sqlite]
    may_have = _MAY_HAVE.format(waited=_WAITED[on_sqlite])
    parts = {
        "held_s": _HELD_S.format(**names),
        "set": _SET.format(**names),
        "is_due": _IS_DUE,
        "may_have": may_have,
        "columns": TASK_COLUMNS[is_lean],
        "lease_columns": LEASE_COLUMNS,
    }
    if on_sqlite:
        parts["queues"] = _each_queue(
            _QUEUE_SQLITE, pools, shards, is_due=_IS_DUE, may_have=may_have
        )
    template = _LEASE_SQLITE if on_sqlite else _LEASE_POSTGRESQL
    return template.format(**parts)


@lru_cache(maxsize=256)
def _next_due_sql(on_sqlite: bool, pools: tuple[int, ...]) -> str:
    if not on_sqlite:
        return _NEXT_DUE_POSTGRESQL
    return _NEXT_DUE_SQLITE.format(
        queues=_each_queue(_FIRST_SQLITE, pools, _ALL_SHARDS)
    )


def _each_queue(
    template: str, pools: tuple[int, ...], shards: tuple[int, ...], **parts: str
) -> str:
    queues = [(int(pool), shard) for pool in pools for shard in shards]
    return " UNION ALL ".join(
        template.format(pool=pool, shard=shard, **parts) for pool, shard in queues
    )


_FUNCTIONS = {
    True: {"max": "max", "min": "min"},
    False: {"max": "greatest", "min": "least"},
}
