"""The days into which PostgreSQL cuts `results`: made ahead, dropped whole."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

DAYS_AHEAD = 3
_PREFIX = "results_"
_DAY_FORMAT = "%Y%m%d"
_TREES = """
SELECT i.indexrelid::regclass FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
WHERE i.indrelid = to_regclass(:name) AND a.amname = 'btree'
"""
# Who waits for such a lock for a second breaks a vacuum off, which does the same at its end.
_SUMMARIZE = """
SELECT coalesce(sum(brin_summarize_new_values(i.indexrelid)), 0) FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
WHERE i.indrelid = to_regclass(:name) AND a.amname = 'brin' AND NOT EXISTS (
  SELECT 1 FROM pg_locks l
  WHERE l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock')
"""
# What REINDEX CONCURRENTLY leaves behind when it is broken off: no query uses it, and
# each late result is still written into it.
_LEFTOVERS = """
SELECT i.indexrelid::regclass FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_inherits p ON p.inhparent = 'results'::regclass
JOIN pg_class t ON t.oid = p.inhrelid AND i.indrelid IN (t.oid, t.reltoastrelid)
WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
"""
_LONG_LOOKS = """
SELECT EXISTS (SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
AND backend_xmin IS NOT NULL AND xact_start < clock_timestamp() - interval '2 s')
"""


def ensure_partitions(session: Session, *, now: datetime) -> list[date]:
    """Make the partitions of today and the next days; return those that were missing.

    Strays of such a day, which the default partition caught, move into it.
    """
    present = set(list_partitions(session))
    today = now.astimezone(UTC).date()
    wanted = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    missing = [day for day in wanted if day not in present]
    for day in missing:
        _make_partition(session, day)
    return missing


def drop_partitions(session: Session, *, before: datetime) -> list[date]:
    """Drop the partitions that hold nothing as late as `before`; return their days."""
    last = before.astimezone(UTC).date()
    outdated = [
        day for day in list_partitions(session) if day + timedelta(days=1) <= last
    ]
    for day in outdated:
        session.execute(text(f'DROP TABLE "{_name(day)}"'))
    return outdated


def pack_partition(connection: Connection, day: date) -> None:
    """Build the indexes of a day anew, which its results left half empty.

    In no transaction, and without keeping late results from coming in. It waits for
    all that look at the database since before; when that takes longer than a lock may,
    it is broken off and leaves indexes behind, for `drop_leftovers`.
    """
    for index in connection.scalars(text(_TREES), {"name": _name(day)}).all():
        # Hardly anything will come between what is in it.
        connection.execute(text(f"ALTER INDEX {index} SET (fillfactor = 100)"))
        connection.execute(text(f"REINDEX INDEX CONCURRENTLY {index}"))


def summarize_ids(session: Session, *, day: date) -> int:
    """Let a day's results be found by their ids; return how many stretches are new.

    PostgreSQL does it by itself, but forgets stretches when many are filled at a time, and
    reads all of these whoever looks for an id, until the day is vacuumed. While that
    is under way nothing is done.
    """
    return int(session.scalar(text(_SUMMARIZE), {"name": _name(day)}) or 0)


def drop_leftovers(connection: Connection) -> list[str]:
    """Drop what packing has left behind when it was broken off; return the names.

    In no transaction. While another server packs that day this waits for it in vain.
    """
    names = [str(name) for name in connection.scalars(text(_LEFTOVERS))]
    for name in names:
        connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
    return names


def is_looked_at_for_long(connection: Connection) -> bool:
    """Whether somebody's transaction began a while ago: packing would wait for it."""
    return bool(connection.scalar(text(_LONG_LOOKS)))


def list_partitions(session: Session) -> list[date]:
    """The days that have a partition of their own, in order."""
    names = session.scalars(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'results'::regclass AND c.relname <> 'results_default'"
        )
    )
    return sorted(
        datetime.strptime(name, _PREFIX + _DAY_FORMAT).replace(tzinfo=UTC).date()
        for name in names
    )


def _make_partition(session: Session, day: date) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    name, end = _name(day), start + timedelta(days=1)
    bounds = f"'{start.isoformat()}' AND submitted_at < '{end.isoformat()}'"
    for statement in (
        f'CREATE TABLE "{name}" (LIKE results INCLUDING DEFAULTS INCLUDING STORAGE)',
        f"WITH stray AS (DELETE FROM results_default WHERE submitted_at >= {bounds}"  # noqa: S608  # bounds are dates of ours
        f' RETURNING *) INSERT INTO "{name}" SELECT * FROM stray',
        f'ALTER TABLE results ATTACH PARTITION "{name}"'
        f" FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')",
    ):
        session.execute(text(statement))


def _name(day: date) -> str:
    return _PREFIX + day.strftime(_DAY_FORMAT)
