"""Fill a database with a fleet and its history, by statements of the database's own.

The tasks come out of a config by way of a real reload. A part of the task groups is bad,
all five tasks of each, with open incidents that were told; some websites have a long
history, to be looked at page by page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from argos.core.rollup import HOURS, SLOTS, Kind, hour_of, pack, slot
from argos.server.columns import to_epoch_us
from argos.server.database import Database, Session
from argos.server.queries import partitions
from bench.data.reload import TASKS_PER_WEBSITE
from bench.scale.troubles import AGENTS, EVENT_COUNT, TROUBLES

CHUNK_TASKS = 50_000
PERIOD_S = 300
RUNS_AN_HOUR = 3600 // PERIOD_S
LONG_DAYS = 7
"""Of results, for websites with a long history."""
ROLLUP_DAYS = 365
RUN_US = 183_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a database is filled with."""

    tasks: int
    results: int
    bad_per_mille: int
    long_websites: int = 100
    """Those with a week of results and a year of rollups."""

    @property
    def websites(self) -> int:
        return max(1, self.tasks // TASKS_PER_WEBSITE)

    @property
    def runs(self) -> int:
        """Results of each task, beside the long histories."""
        long = self.long_websites * TASKS_PER_WEBSITE * LONG_DAYS * 24 * RUNS_AN_HOUR
        return max(1, (self.results - long) // self.tasks)


def fill(database: Database, fleet: Fleet, *, now: datetime) -> None:
    """Give the tasks state, results, rollups and incidents."""
    if not database.is_sqlite:
        for days in (8, 4, 0):
            with database.transaction() as session:
                partitions.ensure_partitions(session, now=now - timedelta(days=days))
    filling = _Filling(database, fleet, now)
    with database.reading() as session:
        last = session.scalar(text("SELECT max(id) FROM tasks")) or 0
    for first in range(0, last + 1, CHUNK_TASKS):
        filling.fill_tasks(first, min(first + CHUNK_TASKS, last + 1))
    filling.fill_schedule()
    filling.fill_incidents()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


_BAD = "(t.group_id * 7919) % 1000 < :bad"
_TIMED = f"(t.id = t.first_id OR ({_BAD} AND k < 12))"
"""Of a run that is well one result says how long it took."""
_OFFSET = f"(t.group_id % {PERIOD_S})"
_RESULTS = """
WITH RECURSIVE runs(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM runs WHERE k + 1 < {runs})
INSERT INTO results (task_id, agent_id, submitted_at, received_at, status, severity,
  context, is_late, dns_us, connect_us, tls_us, first_byte_us, transfer_us, total_us)
SELECT t.id, 'paris', {moment}, {moment},
  CAST(CASE WHEN {bad} AND k < 12 THEN 'failure' ELSE 'success' END AS {status}),
  CAST(CASE WHEN {bad} AND k < 12 THEN 'critical' ELSE 'ok' END AS {severity}),
  CAST(CASE WHEN {bad} AND k < 12
    THEN '{{"expected": "200", "retrieved": 503}}' ELSE '{{}}' END AS {json}),
  {false}, CASE WHEN {timed} THEN 2000 + k % 7 * 100 END,
  CASE WHEN {timed} THEN 21000 END, CASE WHEN {timed} THEN 43000 END,
  CASE WHEN {timed} THEN 90000 + k % 11 * 1000 END, CASE WHEN {timed} THEN 9000 END,
  CASE WHEN {timed} THEN 183000 + k % 11 * 1000 END
FROM runs, (
  SELECT *, min(id) OVER (PARTITION BY group_id) AS first_id FROM tasks
  WHERE id >= :first AND id < :last AND archived_at IS NULL
) AS t
ORDER BY k DESC, t.id
"""
_STATE = """
UPDATE tasks AS t SET
  severity = CAST(CASE WHEN {bad} THEN 'critical' ELSE 'ok' END AS {severity}),
  told_severity = CAST(CASE WHEN {bad} THEN 'critical' ELSE 'ok' END AS {severity}),
  last_status = CAST(CASE WHEN {bad} THEN 'failure' ELSE 'success' END AS {status}),
  contiguous_failures = CASE WHEN {bad} THEN 12 ELSE 0 END,
  completed_at = {moment0}, last_severity_update = {moment0},
  severity_since = {since}, failing_since = CASE WHEN {bad} THEN {since} END,
  event_count = {event_count},
  open_hour = :hour, open_counts = CASE WHEN {bad} THEN :bad_tally ELSE :ok_tally END
WHERE t.id >= :first AND t.id < :last AND t.archived_at IS NULL
"""
_DAYS = """
WITH RECURSIVE days(d) AS (SELECT 1 UNION ALL SELECT d + 1 FROM days WHERE d < {days})
INSERT INTO task_days (task_id, day, ok, warning, critical, unknown, maintenance, hours)
SELECT t.id, :today - d, 288, 0, 0, 0, 0, CASE WHEN d < 90 THEN :hours ELSE :none END
FROM tasks t, days
WHERE t.id >= :first AND t.id < :last AND t.archived_at IS NULL
ON CONFLICT DO NOTHING
"""
_SCHEDULE = """
UPDATE schedule AS s SET next_run = {next}, due_at = {next}, lease_no = 1,
  open_hour = :hour, open_latencies = :latencies
"""
_GROUP_DAYS = """
WITH RECURSIVE days(d) AS (SELECT 1 UNION ALL SELECT d + 1 FROM days WHERE d < {days})
INSERT INTO group_days (group_key, day, latencies, hours)
SELECT s.key, :today - d, :latencies, CASE WHEN d < 90 THEN :hours ELSE :none END
FROM schedule s, days WHERE s.id <= :last ON CONFLICT DO NOTHING
"""


class _Filling:
    def __init__(self, database: Database, fleet: Fleet, now: datetime) -> None:
        self._database = database
        self._fleet = fleet
        self._now = now
        types = ("status", "severity", "jsonb", "event_kind", "delivery_state")
        if database.is_sqlite:
            types = ("text",) * 5
        self._words = {
            **dict(
                zip(("status", "severity", "json", "kind", "state"), types, strict=True)
            ),
            "false": "0" if database.is_sqlite else "false",
            "bad": _BAD,
            "timed": _TIMED,
            "event_count": EVENT_COUNT.format(bad=_BAD),
            "now": self._ago("0"),
            "moment": self._ago(f"({_OFFSET} + k * {PERIOD_S})"),
            "moment0": self._ago(_OFFSET),
            "since": self._ago(f"({_OFFSET} + 11 * {PERIOD_S})"),
            "past": self._ago("(86400 + t.id % 864000)"),
            "past_end": self._ago("(85000 + t.id % 864000)"),
            # Half of them are due, so that agents find work.
            "next": self._ago(f"(s.id * 37 % {PERIOD_S} - {PERIOD_S // 2})"),
        }

    def _ago(self, seconds: str) -> str:
        if self._database.is_sqlite:
            return f"({to_epoch_us(self._now)} - {seconds} * 1000000)"
        return f"(TIMESTAMPTZ '{self._now.isoformat()}' - {seconds} * INTERVAL '1 s')"

    def fill_tasks(self, first: int, last: int) -> None:
        """The tasks of these ids: results, state, rollups."""
        fleet = self._fleet
        span = {"first": first, "last": last}
        state = span | {
            "bad": fleet.bad_per_mille,
            "hour": hour_of(self._now),
            "ok_tally": pack({Kind.OK: 6}),
            "bad_tally": pack({Kind.CRITICAL: 6}),
        }
        with self._database.transaction() as session:
            self._run(session, _STATE, state)
            self._add_results(session, fleet.runs, span)
            self._add_days(session, 2, span)
            long_tasks = fleet.long_websites * TASKS_PER_WEBSITE
            if first < long_tasks:
                span["last"] = long_tasks + 1
                self._add_days(session, ROLLUP_DAYS, span)
                self._add_results(session, LONG_DAYS * 24 * RUNS_AN_HOUR, span,
                                  after=fleet.runs)  # fmt: skip

    def _add_results(
        self, session: Session, runs: int, span: Mapping[str, int], *, after: int = 0
    ) -> None:
        statement = _RESULTS
        if after:
            statement = statement.replace("SELECT 0 UNION", f"SELECT {after} UNION")
        values = {**span, "bad": self._fleet.bad_per_mille}
        self._run(session, statement, values, runs=runs)

    def _add_days(self, session: Session, days: int, span: Mapping[str, int]) -> None:
        hours = {hour * len(Kind) + Kind.OK: RUNS_AN_HOUR for hour in range(HOURS)}
        values = {**span, "today": self._today, "hours": pack(hours), "none": b""}
        self._run(session, _DAYS, values, days=days)

    @property
    def _today(self) -> int:
        return hour_of(self._now) // HOURS

    def fill_schedule(self) -> None:
        """The task groups: when they run next, and their response times."""
        place = slot(RUN_US)
        groups = self._fleet.long_websites * 2
        values = {
            "today": self._today,
            "latencies": pack({place: 5 * 288}),
            "hours": pack({hour * SLOTS + place: 60 for hour in range(HOURS)}),
            "none": b"",
        }
        with self._database.transaction() as session:
            self._run(session, _SCHEDULE, {
                "hour": hour_of(self._now), "latencies": pack({place: 30}),
            })  # fmt: skip
            last = self._fleet.websites * 2
            self._run(session, _GROUP_DAYS, values | {"last": last}, days=2)
            self._run(session, _GROUP_DAYS, values | {"last": groups}, days=ROLLUP_DAYS)

    def fill_incidents(self) -> None:
        """Open incidents of what is bad, with their notices; past ones; and agents."""
        with self._database.transaction() as session:
            for statement in (*TROUBLES, AGENTS):
                self._run(session, statement, {})

    def _run(
        self, session: Session, statement: str, values: Mapping[str, Any], **words: int
    ) -> None:
        session.execute(text(statement.format(**self._words, **words)), values)
