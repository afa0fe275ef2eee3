"""How many tasks and websites there are, without counting them."""

from sqlalchemy import text

from argos.server.models import Task, Website
from argos.server.queries import remembered
from argos.server.services.reconcile import reconcile
from tests.server.factories import add_group

CHECKED = {"path": "/", "checks": [{"status-is": 200}, {"body-contains": "a"}]}


def counted(database):
    with database.reading() as session:
        return remembered.count(session, Task), remembered.count(session, Website)


def websites(*names):
    return [
        {"domain": f"https://{name}.example", "ipv6": False, "paths": [CHECKED]}
        for name in names
    ]


def test_a_reload_counts_what_the_config_names(database, make_loaded, now):
    reconcile(database, make_loaded(websites=websites("a", "b", "c")), now=now)
    first = counted(database)
    reconcile(
        database,
        make_loaded(websites=websites("a", "d")),
        now=now,
        allow_mass_removal=True,
    )

    assert first == (6, 3)
    assert counted(database) == (4, 2)


def test_what_is_remembered_is_not_counted_again(database, make_loaded, now):
    reconcile(database, make_loaded(websites=websites("a")), now=now)
    with database.transaction() as session:
        session.execute(
            text("UPDATE config_cache SET val = '7 ' || :id WHERE name = 'task_count'"),
            {"id": str(session.scalar(text("SELECT max(id) FROM tasks")))},
        )

    assert counted(database) == (7, 1)


def test_tasks_that_came_from_elsewhere_are_counted(database, make_loaded, now):
    reconcile(database, make_loaded(websites=websites("a")), now=now)
    with database.transaction() as session:
        add_group(session, "b", due_at=now)
        added = session.scalar(text("SELECT count(*) FROM tasks"))

    assert counted(database)[0] == added > 2


def test_without_a_reload_all_are_counted(database, now):
    with database.transaction() as session:
        add_group(session, "b", due_at=now)
        count = session.scalar(text("SELECT count(*) FROM tasks"))

    assert counted(database)[0] == count > 0
