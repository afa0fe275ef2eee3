"""The duties themselves; `upkeep` sees to it that one server at a time does each."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from argos.core.schedule import EPOCH, effective_period, grid_offset, next_on_grid
from argos.core.severity import Severity, Status
from argos.errors import DatabaseUnreachable
from argos.server.database import Connection, Database
from argos.server.models import JobKind
from argos.server.queries import (
    duties as duty_queries,
    overtaken,
    partitions,
    sessions,
    storing,
    thinning,
    upkeep as queries,
)
from argos.server.queries.storing import NewResult
from argos.server.services import (
    agent_clocks,
    agent_notice,
    dead_man,
    held,
    lasting,
    newcomers,
    overdue,
    presence,
)
from argos.server.services.counting import Counting
from argos.server.services.missing_agents import watch_agents
from argos.server.services.moves import KEPT_LONGER
from argos.server.services.unanswered import settle_unanswered
from argos.server.services.upkeep import JOB_CLAIM_INTERVAL, Duty, Work

log = logging.getLogger(__name__)

CHUNK_ROWS = 10_000
BUCKET_AGE = timedelta(days=2)
STALLED = (
    "Several agents in a row leased this task and never reported: it may bring them "
    "down, or they may be cut off while they report."
)

PACKING_CLAIM_INTERVAL = timedelta(hours=1)
"""A day of a large fleet takes minutes, in one statement, which says nothing meanwhile."""

Reload = Callable[[str], None]
"""Applies the config file at a path."""


def all_duties(database: Database, *, reload: Reload) -> list[Duty]:
    """What there is to do regularly."""

    def do_jobs(work: Work) -> None:
        run_jobs(work, reload)

    duties = [
        Duty("jobs", timedelta(seconds=5), do_jobs, JOB_CLAIM_INTERVAL),
        Duty("silence", timedelta(seconds=15), watch_agents),
        Duty(dead_man.DUTY, dead_man.LOOK_INTERVAL, dead_man.ping),
        Duty("clocks", agent_clocks.LOOK_INTERVAL, agent_clocks.watch_clocks),
        Duty("overdue", overdue.LOOK_INTERVAL, overdue.watch_overdue),
        Duty("logins", timedelta(minutes=10), forget_logins),
        Duty("queue", timedelta(minutes=5), mend_queue),
        Duty("stalls", timedelta(minutes=1), show_stalls),
        Duty("held", timedelta(seconds=5), held.let_go),
        Duty("held_notices", timedelta(seconds=20), agent_notice.let_notices_go),
        Duty("lasting", timedelta(seconds=30), lasting.tell_lasting),
        Duty("newcomers", timedelta(seconds=30), newcomers.tell_newcomers),
        Duty("rollups", timedelta(hours=6), thin_rollups),
        Duty(presence.DUTY, timedelta(seconds=5), settle_unanswered),
    ]
    if database.is_sqlite:
        return [*duties, Duty("retention", timedelta(minutes=1), delete_old_results)]
    return [
        *duties,
        Duty("partitions", timedelta(hours=1), make_partitions),
        Duty(
            "packing",
            timedelta(hours=1),
            pack_partitions,
            PACKING_CLAIM_INTERVAL,
            is_long=True,
        ),
        Duty("retention", timedelta(minutes=10), drop_old_partitions),
        Duty("result_ids", timedelta(minutes=5), summarize_ids),
    ]


def delete_old_results(work: Work, *, chunk_rows: int = CHUNK_ROWS) -> None:
    """Delete outdated results by small transactions (SQLite)."""
    before = _kept_since(work)
    last_id, total = 0, 0
    while not work.is_over:
        with work.transaction() as session:
            deleted, next_id = queries.delete_old_results(
                session, before=before, after_id=last_id, count=chunk_rows
            )
        total += deleted
        if not deleted or next_id == last_id:
            break
        last_id = next_id
    else:
        work.wants_more = True
    if total:
        log.info("Deleted %s results from before %s.", total, before.isoformat())


def _kept_since(work: Work) -> datetime:
    """Results that are older than this are deleted."""
    return work.now - work.config.recurring_tasks.max_results_age - KEPT_LONGER


def thin_rollups(work: Work, *, chunk_rows: int = CHUNK_ROWS) -> None:
    """Leave the hours out of older days, and delete days that are too old."""
    settings = work.config.recurring_tasks
    hours_before = (work.now - settings.max_hourly_age - EPOCH).days
    days_before = (work.now - settings.max_daily_age - EPOCH).days
    for thin in (thinning.thin_task_days, thinning.thin_group_days):
        last: Any = None
        while not work.is_over:
            with work.transaction() as session:
                last = thin(
                    session,
                    after=last,
                    count=chunk_rows // 10,
                    hours_before=hours_before,
                    days_before=days_before,
                )
            if last is None:
                break
    with work.transaction() as session:
        thinning.delete_old_gaps(session, before=work.now - settings.max_daily_age)


def make_partitions(work: Work) -> None:
    """Make the days ahead into which results go (PostgreSQL)."""
    with work.transaction() as session:
        queries.limit_lock_wait(session)
        made = partitions.ensure_partitions(session, now=work.now)
    if made:
        log.info("Made partitions for %s days of results.", len(made))


def pack_partitions(work: Work) -> None:
    """Pack the days that are over, each once, one in a turn (PostgreSQL)."""
    today = work.now.astimezone(UTC).date()
    with work.transaction() as session:
        present = [day for day in partitions.list_partitions(session) if day < today]
    packed = set((work.note or {}).get("packed", ()))
    left = [day for day in present if day.isoformat() not in packed]
    try:
        with work.database.outside() as connection:
            is_packed = _pack(connection, left[-1] if left else None)
    except DatabaseUnreachable as err:
        # Not at once again: it may have built all indexes before it was broken off.
        log.warning("Days of results are packed later: %s", err)
        return
    if not is_packed:
        return
    packed &= {day.isoformat() for day in present}
    work.note = {"packed": sorted(packed | {left[-1].isoformat()})}
    work.wants_more = len(left) > 1


def _pack(connection: Connection, day: date | None) -> bool:
    """Pack a day, and clear away what is left of attempts before; False: not now."""
    if partitions.is_looked_at_for_long(connection):
        return False
    if names := partitions.drop_leftovers(connection):
        log.info("Dropped what was left of packing: %s", ", ".join(names))
    if day is None:
        return False
    partitions.pack_partition(connection, day)
    return True


def drop_old_partitions(work: Work, *, chunk_rows: int = CHUNK_ROWS) -> None:
    """Drop the days that are outdated as a whole (PostgreSQL)."""
    before = _kept_since(work)
    with work.transaction() as session:
        queries.limit_lock_wait(session)
        dropped = partitions.drop_partitions(session, before=before)
    if dropped:
        log.info("Dropped %s days of results.", len(dropped))
    deleted = chunk_rows
    while deleted == chunk_rows and not work.is_over:
        with work.transaction() as session:
            deleted = queries.delete_stray_results(
                session, before=before, count=chunk_rows
            )


def summarize_ids(work: Work) -> None:
    """Let new results be found by their ids, to the last one of yesterday (PostgreSQL)."""
    today = work.now.astimezone(UTC).date()
    for day in (today - timedelta(days=1), today):
        with work.transaction() as session:
            partitions.summarize_ids(session, day=day)


def forget_logins(work: Work) -> None:
    """Delete sessions that are over, and login buckets that are full again."""
    with work.transaction() as session:
        queries.delete_expired_logins(session, now=work.now)
        sessions.delete_full_buckets(session, now=work.now, age=BUCKET_AGE)


def mend_queue(work: Work) -> None:
    """Bring groups and notices back that a clock which was set back has put off."""
    with work.transaction() as session:
        notices = overtaken.bring_back(session, now=work.now)
    if notices:
        log.warning("%s notices waited for a clock that was set back.", notices)
    longest_lease = timedelta(seconds=work.config.recurring_tasks.max_lock_seconds)
    with work.database.reading() as session:
        stranded = queries.list_stranded(
            session,
            now=work.now,
            margin=longest_lease + timedelta(minutes=1),
            count=CHUNK_ROWS,
        )
    if not stranded:
        return
    moves = [
        queries.PullBack(group.id, group.lease_no, _grid_place(group, after=work.now))
        for group in stranded
    ]
    with work.transaction() as session:
        queries.pull_back(session, moves=moves)
    log.warning(
        "%s task groups were due too late, as if a clock had been set back.",
        len(stranded),
    )
    work.wants_more = len(stranded) == CHUNK_ROWS


def show_stalls(work: Work) -> None:
    """Show tasks as unknown whose runs end without a report again and again."""
    with work.database.reading() as session:
        if not queries.has_stalled_groups(session):
            return
    with work.transaction() as session:
        stalled = queries.lock_stalled_tasks(session, count=CHUNK_ROWS)
        if not stalled:
            return
        rows = [
            NewResult(
                task_id=id_,
                agent_id=None,
                submitted_at=work.now,
                received_at=work.now,
                status=Status.ERROR,
                severity=Severity.UNKNOWN,
                context=json.dumps({"error_message": STALLED}),
                is_late=False,
                left_out=left_out,
            )
            for id_, left_out in stalled.items()
        ]
        counting = Counting()
        counting.count(rows, storing.add_results(session, results=rows))
        counting.write_closed(session)
        queries.mark_unmeasured(session, ids=stalled, now=work.now)
    log.error("%s tasks show no result: %s", len(stalled), STALLED)
    work.wants_more = len(stalled) == CHUNK_ROWS


def _grid_place(group: queries.Stranded, *, after: datetime) -> datetime:
    period = effective_period(timedelta(minutes=group.frequency))
    return next_on_grid(after, period=period, offset=grid_offset(group.key, period))


def run_jobs(work: Work, reload: Reload) -> None:
    """Do what commands left to be done, in order; a job that fails is not repeated."""
    while not work.is_over:
        with work.transaction() as session:
            job = duty_queries.get_first_job(session)
            if job is None:
                return
            if job.current:
                log.warning("Job %s was cut off; it begins anew.", job.id)
            duty_queries.begin_job(session, id_=job.id)
        log.info("Job %s: %s %s", job.id, job.todo, job.args)
        try:
            assert job.todo is JobKind.RELOAD_CONFIG
            reload(job.args)
        except Exception:  # a broken config must not stop the housework
            log.exception("Job %s failed: %s %s", job.id, job.todo, job.args)
        with work.transaction() as session:
            duty_queries.delete_job(session, id_=job.id)
