"""The tasks follow the config: all of it, or nothing."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from argos.core.severity import Severity
from argos.errors import MassRemovalRefused
from argos.server.identity import Pool
from argos.server.models import ConfigCache, Incident, Result, Schedule, Task, Website
from argos.server.services.reconcile import Counts, cache_entries, reconcile
from tests.server.sites import website
from tests.server.test_plan import HEAD

A = website("https://a.example")
B = website("https://b.example", "{status-is: 200}", "{body-contains: hello}")


def list_tasks(database):
    with database.reading() as session:
        return session.scalars(
            select(Task).where(Task.archived_at.is_(None)).order_by(Task.id)
        ).all()


def test_new_tasks_are_due_at_once_and_unknown(database, load, now):
    counts = reconcile(database, load(A, B), now=now)

    assert counts == Counts(deleted=0, added=3, updated=0)
    tasks = list_tasks(database)
    assert [task.severity for task in tasks] == [Severity.UNKNOWN] * 3
    assert {task.schedule.due_at for task in tasks if task.schedule} == {now}
    assert {task.next_run for task in tasks} == {None}
    with database.reading() as session:
        assert session.scalars(select(Website.host).order_by(Website.id)).all() == [
            "a.example",
            "b.example",
        ]


def test_an_unchanged_config_is_recognised(database, load, now):
    reconcile(database, load(A), now=now)

    assert reconcile(database, load(A), now=now) is None


def test_a_changed_attribute_updates_and_keeps_the_task(database, load, now):
    reconcile(database, load(A), now=now)
    (before,) = list_tasks(database)

    counts = reconcile(
        database, load(website("https://a.example", frequency="1m")), now=now
    )

    (after,) = list_tasks(database)
    assert counts == Counts(deleted=0, added=0, updated=1)
    assert (after.id, after.frequency) == (before.id, 1.0)
    assert after.schedule is not None
    assert after.schedule.frequency == 1.0


def test_d21_a_recheck_delay_that_is_taken_away_is_seen(database, load, now):
    reconcile(database, load(A), now=now)

    counts = reconcile(
        database, load(A, head=HEAD.replace('  recheck_delay: "30s"\n', "")), now=now
    )

    assert counts == Counts(deleted=0, added=0, updated=1)
    assert list_tasks(database)[0].recheck_delay is None


def test_d24_a_recipient_comes_back_when_its_channel_is_configured(database, load, now):
    site = A + "    overwrite_alerts_recipients: [mail]\n"
    mail = next(line for line in HEAD.splitlines() if "mail:" in line)
    reconcile(database, load(site, head=HEAD.replace(mail, "")), now=now)
    assert list_tasks(database)[0].overwrite_alerts_recipients is None

    counts = reconcile(database, load(site), now=now)

    assert counts == Counts(deleted=0, added=0, updated=1)
    assert list_tasks(database)[0].overwrite_alerts_recipients == '["mail"]'


def add_history(database, now):
    with database.transaction() as session:
        task = session.scalars(select(Task).order_by(Task.id)).first()
        session.add(
            Result(
                task_id=task.id,
                agent_id="paris",
                submitted_at=now,
                status="failure",
                severity=Severity.CRITICAL,
                context={},
            )
        )
        session.add(
            Incident(task_id=task.id, opened_at=now, severity=Severity.CRITICAL)
        )
        task.told_severity = Severity.CRITICAL
        task.applied_lease_no = 7
        return task.id


def test_i53_what_leaves_the_config_is_archived_and_comes_back_with_its_history(
    database, load, now
):
    reconcile(database, load(A, B), now=now)
    task_id = add_history(database, now)

    gone = reconcile(database, load(B), now=now)

    assert gone == Counts(deleted=1, added=0, updated=0)
    assert task_id not in [task.id for task in list_tasks(database)]
    with database.reading() as session:
        assert session.scalars(select(Incident.closed_at)).one() == now
        assert session.scalars(
            select(Website.domain).where(Website.archived_at.is_not(None))
        ).all() == ["https://a.example/"]
        assert len(session.scalars(select(Schedule)).all()) == 1

    back = reconcile(database, load(A, B), now=now)

    assert back == Counts(deleted=0, added=1, updated=0)
    with database.reading() as session:
        task = session.get_one(Task, task_id)
        assert task.archived_at is None
        assert task.schedule is not None
        assert len(task.results) == 1
        assert task.told_severity is Severity.OK
        assert task.schedule.lease_no > task.applied_lease_no == 7, "no number twice"


def test_a_task_whose_probe_changes_has_no_lease_number_twice(database, load, now):
    reconcile(database, load(A), now=now)
    with database.transaction() as session:
        task = session.scalars(select(Task).order_by(Task.id)).first()
        task_id, old_group = task.id, task.group_id
        task.applied_lease_no = 7

    counts = reconcile(database, load(A + "    follow: 3\n"), now=now)

    assert counts == Counts(deleted=0, added=0, updated=1)
    with database.reading() as session:
        task = session.get_one(Task, task_id)
        assert task.group_id != old_group
        assert task.schedule.lease_no > task.applied_lease_no == 7
        others = session.scalars(select(Schedule).where(Schedule.id != task.group_id))
        assert {group.lease_no for group in others} <= {0}
    found = task.schedule.lease_no
    reconcile(database, load(A + "    follow: 3\n", B), now=now)
    with database.reading() as session:
        assert session.get_one(Schedule, task.group_id).lease_no == found


def test_i52_a_mass_removal_must_be_confirmed(database, load, now):
    many = [website(f"https://s{n}.example") for n in range(20)]
    reconcile(database, load(*many), now=now)

    with pytest.raises(MassRemovalRefused, match="remove 11 of 20 tasks"):
        reconcile(database, load(*many[:9]), now=now)

    assert len(list_tasks(database)) == 20
    counts = reconcile(database, load(*many[:9]), now=now, allow_mass_removal=True)
    assert counts == Counts(deleted=11, added=0, updated=0)


def test_i50_a_reconcile_that_fails_is_tried_again_next_time(database, load, now):
    reconcile(database, load(A), now=now)
    broken = load(A, B)
    with database.transaction() as session:
        session.execute(text("ALTER TABLE websites RENAME TO hidden"))

    with pytest.raises(Exception, match="websites"):
        reconcile(database, broken, now=now)

    with database.transaction() as session:
        session.execute(text("ALTER TABLE hidden RENAME TO websites"))
    assert reconcile(database, broken, now=now) == Counts(0, 2, 0)


def test_several_that_find_the_config_unchanged_at_once_do_not_fail(
    database, load, now
):
    loaded = load(A)
    reconcile(database, loaded, now=now)
    faults = []

    def run():
        try:
            assert reconcile(database, loaded, now=now) is None
        except Exception as err:  # noqa: BLE001  # the thread hands it to the test
            faults.append(err)

    threads = [threading.Thread(target=run) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


def test_i51_reconciles_at_once_take_turns(database, load, now):
    configs = [load(A), load(B), load(A, B), load()] * 3
    faults = []

    def run(loaded):
        try:
            reconcile(database, loaded, now=now, allow_mass_removal=True)
        except Exception as err:  # noqa: BLE001  # the thread hands it to the test
            faults.append(err)

    threads = [threading.Thread(target=run, args=(each,)) for each in configs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    with database.reading() as session:
        cache = dict(session.execute(select(ConfigCache.name, ConfigCache.val)).all())
    winner = next(
        each for each in configs if cache_entries(each).items() <= cache.items()
    )
    count = len(list_tasks(database))
    assert count == sum(
        len(path.checks) for site in winner.config.websites for path in site.paths
    )
    assert cache["task_count"].split()[0] == str(count)


def test_a_group_that_runs_more_often_moves_to_its_new_grid(database, load, now):
    reconcile(database, load(website("https://a.example", frequency="1d")), now=now)
    with database.transaction() as session:
        schedule = session.scalars(select(Schedule)).one()
        schedule.due_at = schedule.next_run = now + timedelta(hours=20)

    reconcile(database, load(website("https://a.example", frequency="1m")), now=now)

    with database.reading() as session:
        assert session.scalars(select(Schedule)).one().due_at == now


def test_the_cache_has_the_names_of_0_10_3(load):
    entries = cache_entries(load(A))

    assert len(entries.pop("websites_hash")) == 64
    assert {
        name: value for name, value in entries.items() if name.startswith("general")
    } == {
        "general_frequency": "5.0",
        "general_recheck_delay": "0.5",
        "general_retry_before_notification": "0",
        "general_ipv4": "True",
        "general_ipv6": "True",
        "general_timeout": "30.0",
        "general_options": "",
        "general_confirm": "True",
        "general_locations": "[]",
        "general_quorum": "None",
        "general_recoveries_before_notification": "0",
    }


WITH_PASSWORD = """
  - domain: "https://a.example"
    ipv6: false
    auth: {basic: {username: ada, password: PASSWORD}}
    paths: [{path: /, checks: [{status-is: 200}]}]
"""


def test_options_and_their_secrets_change_while_the_history_stays(database, load, now):
    reconcile(database, load(A), now=now)
    (task,) = list_tasks(database)

    for password in ("first", "second"):
        loaded = load(WITH_PASSWORD.replace("PASSWORD", password))
        counts = reconcile(database, loaded, now=now)

        assert counts == Counts(deleted=0, added=0, updated=1)
        assert password not in repr(cache_entries(loaded))
        with database.reading() as session:
            schedule = session.scalars(select(Schedule)).one()
            assert schedule.options == {
                "auth": {"basic": {"username": "ada", "password": password}}
            }
            assert schedule.pool == Pool.NEW_CHECKS
            assert session.scalars(select(Task)).one().id == task.id


def test_a_change_of_the_general_options_is_applied(database, load, now):
    reconcile(database, load(A), now=now)
    head = HEAD.replace("general:\n", "general:\n  follow: 2\n")

    assert reconcile(database, load(A, head=head), now=now) is not None
    with database.reading() as session:
        assert session.scalars(select(Schedule)).one().options == {"follow": 2}


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ("  locations: [oslo, paris]\n", {("oslo", 2), ("paris", 2)}),
        ("  locations: [oslo, paris]\n  quorum: 1\n", {("oslo", 1), ("paris", 1)}),
    ],
)
def test_a_change_of_the_general_locations_is_applied(
    database, load, now, changes, places
):
    reconcile(database, load(A), now=now)
    head = HEAD.replace("general:\n", f"general:\n{changes}")

    assert reconcile(database, load(A, head=head), now=now) is not None
    with database.reading() as session:
        tasks = session.scalars(select(Task).where(Task.archived_at.is_(None))).all()
    assert {(task.location, task.quorum) for task in tasks} == places
