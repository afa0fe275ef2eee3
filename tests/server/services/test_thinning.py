"""Rollups lose their hours, then their days; days that are over are packed."""

from datetime import timedelta

from sqlalchemy import select, text

from argos.core.schedule import EPOCH
from argos.server.models import Duty as DutyRow, Gap, GroupDay, TaskDay
from argos.server.services.duties import pack_partitions, thin_rollups
from argos.server.services.upkeep import Duty, Means, Upkeep
from tests.server.factories import add_group, task_ids

DAY = timedelta(days=1)


def test_old_days_lose_their_hours_and_go_in_the_end(database, config, clock, now):
    today = (now - EPOCH).days
    ages = [0, 39, 41, 5 * 366 - 1, 5 * 366 + 1]
    with database.transaction() as session:
        tasks = [
            task_ids(session, add_group(session, f"site{n}", due_at=now).id)[0]
            for n in range(3)
        ]
        for task_id in tasks:
            session.add_all(
                TaskDay(task_id=task_id, day=today - age, ok=7, hours=b"\0\7")
                for age in ages
            )
        session.add_all(
            GroupDay(group_key=bytes(16), day=today - age, latencies=b"a", hours=b"b")
            for age in ages
        )
        session.add_all(
            Gap(group_key=bytes(16), begin=end - DAY, end=end, missed=3)
            for end in (now - 6 * 366 * DAY, now - DAY)
        )

    def thin(work):
        thin_rollups(work, chunk_rows=20)

    means = Means(database, clock, lambda: config, "here")
    upkeep = Upkeep(means, [Duty("rollups", timedelta(hours=6), thin)])
    upkeep.enter()
    upkeep.do_due()

    with database.reading() as session:
        days = session.execute(
            select(TaskDay.task_id, TaskDay.day, TaskDay.ok, TaskDay.hours)
        ).all()
        groups = session.execute(select(GroupDay.day, GroupDay.hours)).all()
        gaps = session.scalars(select(Gap.end)).all()
    kept = {today - age: b"\0\7" if age < 41 else b"" for age in ages[:-1]}
    assert sorted(days) == sorted(
        (task_id, day, 7, hours) for task_id in tasks for day, hours in kept.items()
    )
    assert dict(map(tuple, groups)) == {
        day: hours and b"b" for day, hours in kept.items()
    }
    assert gaps == [now - DAY]


def test_days_that_are_over_are_packed_once(postgresql_database, config, clock, now):
    days = [(now - days * DAY).date() for days in (2, 1, 0)]
    sizes = []
    with postgresql_database.transaction() as session:
        for day in days:
            session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS results_{day:%Y%m%d} PARTITION OF"
                    f" results FOR VALUES FROM ('{day}') TO ('{day + DAY}')"
                )
            )
    means = Means(postgresql_database, clock, lambda: config, "here")
    upkeep = Upkeep(means, [Duty("packing", timedelta(hours=1), pack_partitions)])
    upkeep.enter()

    for _ in range(3):
        upkeep.do_due()
        with postgresql_database.reading() as session:
            note = session.scalars(select(DutyRow.note)).one()
        sizes.append(note["packed"])

    yesterday, before = days[1].isoformat(), days[0].isoformat()
    assert sizes == [[yesterday], [before, yesterday], [before, yesterday]]
    with postgresql_database.reading() as session:
        full = session.scalars(
            text(
                "SELECT DISTINCT i.tablename FROM pg_indexes i JOIN pg_class c"
                " ON c.relname = i.indexname WHERE i.tablename LIKE 'results_2%'"
                " AND 'fillfactor=100' = ANY(c.reloptions)"
            )
        )
        assert sorted(full) == [f"results_{day:%Y%m%d}" for day in days[:2]]
