"""What the foundation revision does with the rows of 0.10.3."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

from argos.clock import utcnow
from argos.core import schedule as rules
from argos.core.probe import DEFAULT_TIMEOUT
from argos.server.columns import UtcDateTime
from argos.server.identity import (
    KEY_BYTES,
    group_key,
    probe_url,
    required_pool,
    task_key,
)
from argos.server.migrations.types import big_id

_CHUNK_ROWS = 5_000

_tasks = sa.table(
    "tasks",
    *(
        sa.column(name)
        for name in (
            *("id", "url", "domain", "check", "expected", "frequency"),
            *("request_data", "key", "group_id", "website_id"),
            *("method", "ip_version"),
        )
    ),
    sa.column("completed_at", UtcDateTime()),
    sa.column("archived_at", UtcDateTime()),
    sa.column("next_run", UtcDateTime()),
    sa.column("last_severity_update", UtcDateTime()),
    sa.column("severity_since", UtcDateTime()),
    sa.column("failing_since", UtcDateTime()),
)
_schedule = sa.table(
    "schedule",
    sa.column("id", big_id),
    *(
        sa.column(name)
        for name in (
            *("key", "pool", "shard", "frequency", "timeout_s"),
            *("lease_no", "missed_runs"),
        )
    ),
    sa.column("next_run", UtcDateTime()),
    sa.column("due_at", UtcDateTime()),
)
_websites = sa.table(
    "websites", sa.column("id", big_id), sa.column("domain"), sa.column("host")
)


def fill_schedule() -> None:
    """Give every task its key, its website and its place in the queue."""
    connection = op.get_bind()
    groups: dict[bytes, dict[str, Any]] = {}
    updates: list[dict[str, Any]] = []
    domains: set[str] = set()
    seen: set[bytes] = set()
    # Of two identical tasks, which 0.10.3 can have, the one with a history lives.
    order = (_tasks.c.completed_at.is_(None), _tasks.c.id)
    for row in connection.execute(sa.select(_tasks).order_by(*order)).mappings():
        update = _describe_task(row, seen, groups)
        updates.append(update)
        domains.add(row["domain"])
    if not updates:
        return
    connection.execute(
        sa.insert(_websites),
        [
            {"domain": name, "host": urlsplit(name).netloc.rpartition("@")[2]}
            for name in sorted(domains)
        ],
    )
    connection.execute(sa.insert(_schedule), list(groups.values()))
    website_ids = _ids(connection, _websites.c.domain, _websites.c.id)
    group_ids = _ids(connection, _schedule.c.key, _schedule.c.id)
    for update in updates:
        update["b_website_id"] = website_ids[update.pop("domain")]
        update["b_group_id"] = group_ids.get(update.pop("group_key"))
    statement = (
        sa
        .update(_tasks)
        .where(_tasks.c.id == sa.bindparam("b_id"))
        .values(
            key=sa.bindparam("b_key"),
            website_id=sa.bindparam("b_website_id"),
            group_id=sa.bindparam("b_group_id"),
            archived_at=sa.bindparam("b_archived_at", type_=UtcDateTime()),
            severity_since=_tasks.c.last_severity_update,
        )
    )
    for start in range(0, len(updates), _CHUNK_ROWS):
        connection.execute(statement, updates[start : start + _CHUNK_ROWS])


def _ids(
    connection: sa.Connection, key: sa.ColumnClause[Any], id_: sa.ColumnClause[Any]
) -> dict[Any, int]:
    rows = connection.execute(sa.select(key, id_)).all()
    return {bytes(k) if isinstance(k, memoryview) else k: i for k, i in rows}


def _describe_task(
    row: sa.RowMapping, seen: set[bytes], groups: dict[bytes, dict[str, Any]]
) -> dict[str, Any]:
    request = {"method": row["method"], "request_data": row["request_data"]}
    key = task_key(
        url=row["url"],
        check=row["check"],
        expected=row["expected"],
        ip_version=row["ip_version"],
        **request,
    )
    update = {"b_id": row["id"], "domain": row["domain"], "b_archived_at": None}
    if key in seen:
        spare = hashlib.blake2b(key + str(row["id"]).encode(), digest_size=KEY_BYTES)
        return update | {
            "b_key": spare.digest(),
            "b_archived_at": utcnow(),
            "group_key": None,
        }
    seen.add(key)
    group = group_key(
        probe_url=probe_url(row["check"], row["url"]),
        ip_version=row["ip_version"],
        **request,
    )
    _join_group(groups, group, row)
    return update | {"b_key": key, "group_key": group}


def _join_group(
    groups: dict[bytes, dict[str, Any]], key: bytes, row: sa.RowMapping
) -> None:
    due_at = row["next_run"] or utcnow()
    present = groups.setdefault(
        key,
        {
            "key": key,
            "pool": 0,
            "shard": rules.shard(key),
            "frequency": row["frequency"],
            "timeout_s": DEFAULT_TIMEOUT.total_seconds(),
            "next_run": row["next_run"],
            "due_at": due_at,
            "lease_no": 0,
            "missed_runs": 0,
        },
    )
    present["pool"] |= int(required_pool(row["check"], row["ip_version"]))
    present["frequency"] = min(present["frequency"], row["frequency"])
    present["due_at"] = min(present["due_at"], due_at)


def keep_open_incidents() -> None:
    """Open an incident for each task that is not ok, so that its end will be told."""
    bad = (
        "archived_at IS NULL AND completed_at IS NOT NULL"
        " AND severity <> 'ok' AND contiguous_failures >= retry_before_notification"
    )
    op.execute(
        sa.text(
            f"UPDATE tasks SET told_severity = severity, failing_since ="  # noqa: S608  # a constant of ours
            f" last_severity_update, event_count = 0 WHERE {bad}"
        )
    )
    op.execute(
        sa.text(
            f"INSERT INTO incidents (task_id, opened_at, severity)"  # noqa: S608  # a constant of ours
            f" SELECT id, coalesce(last_severity_update, completed_at), severity"
            f" FROM tasks WHERE {bad}"
        )
    )


def copy_schedule_back() -> None:
    """Return the queue's moments to `tasks`; no lease outlives the change."""
    op.execute(
        sa.text(
            "UPDATE tasks SET next_run ="
            " (SELECT s.next_run FROM schedule s WHERE s.id = tasks.group_id)"
        )
    )


def forget_config_cache() -> None:
    """Drop the entries that 0.10.3 does not know: its reload fails on them."""
    op.execute(
        sa.text(
            "DELETE FROM config_cache WHERE name <> 'websites_hash'"
            " AND name NOT IN ('general_frequency', 'general_recheck_delay',"
            " 'general_retry_before_notification', 'general_ipv4', 'general_ipv6')"
        )
    )
