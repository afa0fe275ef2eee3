"""Each config after each other: the tasks become what the specification says."""

import random

from sqlalchemy import func, select

from argos.server.database import Database
from argos.server.models import Schedule, Task
from argos.server.plan import TaskAttributes, wanted_tasks
from argos.server.services.reconcile import Counts, reconcile
from tests.server.plan_specification import PresentTask, apply, changes
from tests.server.sites import website


def present_tasks(database: Database) -> dict[bytes, PresentTask]:
    """All tasks as the database has them, archived ones too."""
    columns = [
        getattr(Task, name) for name in TaskAttributes._fields if name != "group_key"
    ]
    with database.reading() as session:
        rows = session.execute(
            select(
                Task.key,
                Task.id,
                Task.archived_at.is_not(None),
                *columns,
                func.coalesce(Schedule.key, b""),
            ).outerjoin(Schedule, Schedule.id == Task.group_id)
        ).all()
    return {
        key: PresentTask(id_, is_archived, TaskAttributes(*attributes))
        for key, id_, is_archived, *attributes in rows
    }


def some_website(rng: random.Random) -> str:
    checks = ["{status-is: 200}", "{body-contains: hello}", "{http-to-https: true}"]
    site = website(
        f"https://{rng.choice('abcdef')}.example",
        *rng.sample(checks, rng.randint(1, 3)),
        frequency=rng.choice(["1m", "5m"]),
    )
    if rng.random() < 0.3:
        site += "    add_alerts_recipients: [mail]\n"
    if rng.random() < 0.3:
        site += "    recheck_delay: 10s\n"
    return site


def test_i51_every_config_after_every_other_does_what_the_specification_says(
    database, load, now
):
    rng = random.Random(7)
    before = present_tasks(database)
    for _ in range(40):
        loaded = load(*(some_website(rng) for _ in range(rng.randint(0, 6))))
        wanted = wanted_tasks(loaded.config)
        todo = changes(before, wanted.tasks)

        counts = reconcile(database, loaded, now=now, allow_mass_removal=True)

        assert counts is None or counts == Counts(
            deleted=len(todo.archive),
            added=len(todo.add) + len(todo.restore),
            updated=len(todo.update),
        )
        after = present_tasks(database)
        assert states(after) == states(apply(before, todo))
        assert {id_.id for id_ in before.values()} <= {id_.id for id_ in after.values()}
        with database.reading() as session:
            groups = {
                row.key: (row.pool, row.frequency, row.timeout_s)
                for row in session.scalars(select(Schedule))
            }
        assert groups == {
            key: (group.pool, group.frequency, group.timeout_s)
            for key, group in wanted.groups.items()
        }
        before = after


def states(tasks: dict[bytes, PresentTask]) -> dict[bytes, object]:
    """Which tasks are active and how; of archived ones only that they are there."""
    return {
        key: "archived" if task.is_archived else task.attributes
        for key, task in tasks.items()
    }
