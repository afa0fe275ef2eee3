"""Rollups lose their hours, then their days."""

from datetime import timedelta

from sqlalchemy import select

from argos.core.schedule import EPOCH
from argos.server.models import Gap, GroupDay, TaskDay
from argos.server.services.duties import thin_rollups
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
