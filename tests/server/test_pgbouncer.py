"""All that a server does, through a PgBouncer in transaction mode."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import make_url, text

from argos.server.database import Database
from argos.server.main import get_application
from argos.server.migrations.runner import migrate
from argos.server.services import upkeep
from argos.server.services.duties import all_duties
from argos.server.services.reconcile import reconcile
from tests.server.browsing import TurnedClock, browse
from tests.server.factories import SECRET, make_config
from tests.server.pgbouncer import run_pgbouncer

SITES = [
    {"domain": f"https://site{n}.example", "paths": [{"path": "/", "checks": checks}]}
    for n in range(20)
    for checks in [[{"status-is": 200}, {"body-contains": "x"}]]
]
ROUNDS = 8
"""More than after how many executions the driver would prepare a statement."""


@pytest.fixture(scope="module")
def pooler(pgbouncer_binary: str, postgresql_server: str) -> Iterator[str]:
    with run_pgbouncer(pgbouncer_binary, postgresql_server) as url:
        yield url


@pytest.fixture
def pooled_url(pooler: str, postgresql_url: str) -> str:
    """A fresh database, through the pooler."""
    name = make_url(postgresql_url).database
    return make_url(pooler).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def pooled(pooled_url: str) -> Iterator[Database]:
    database = Database(pooled_url)
    migrate(database)
    yield database
    database.close()


def test_nothing_is_prepared_and_the_zone_is_utc(pooled):
    zones, prepared = set(), set()
    for _ in range(ROUNDS):
        with pooled.reading() as session, pooled.reading() as other:
            zones |= {
                each.execute(text("SHOW timezone")).scalar_one()
                for each in (session, other)
            }
            count = text("SELECT count(*) FROM pg_prepared_statements")
            prepared.add(session.execute(count).scalar_one())

    assert zones == {"UTC"}
    assert prepared == {0}


def test_straight_to_the_server_statements_are_prepared(migrated_postgresql_url):
    database = Database(migrated_postgresql_url)
    with database.reading() as session:
        for _ in range(ROUNDS):
            session.execute(text("SELECT 1 + :n"), {"n": 1})
        prepared = session.execute(
            text("SELECT count(*) FROM pg_prepared_statements")
        ).scalar_one()
        timeout = session.execute(
            text("SHOW idle_in_transaction_session_timeout")
        ).scalar_one()
    database.close()

    assert prepared > 0
    assert timeout == "25s"


def _lease_and_report(client: TestClient) -> list[int]:
    """What an agent does in a round; the ids of its results."""
    headers = {"Authorization": f"Bearer {SECRET}"}
    tasks = client.get("/api/tasks?limit=20&capabilities=", headers=headers).json()
    results = [
        {
            "task_id": task["id"],
            "status": "failure",
            "context": {},
            "lease_no": task["lease_no"],
            "leased_at": task["leased_at"],
            "elapsed_us": 1_000,
        }
        for task in tasks
    ]
    answer = client.post("/api/results", headers=headers, json=results)
    assert answer.status_code == 201
    ids: list[int] = answer.json()["result_ids"]
    return ids


def test_leases_reports_pages_reloads_and_housework(pooled, pooled_url, tmp_path, now):
    clock = TurnedClock(now)
    loaded = make_config(
        tmp_path,
        url=pooled_url,
        websites=SITES,
        general__unauthenticated_access="all",
        general__frequency="1m",
        general__ipv6=False,
    )
    reconcile(pooled, loaded, now=now)
    app = get_application(loaded, clock=clock)
    client = browse(app)
    housework = upkeep.Upkeep(
        upkeep.Means(pooled, clock, lambda: loaded.config, "test"),
        all_duties(pooled, reload=lambda _: None),
    )
    housework.enter()

    reported: set[int] = set()
    for _ in range(ROUNDS):
        reported.update(_lease_and_report(client))
        housework.do_due()
        clock.now += timedelta(minutes=1)
    pages = [client.get(path).status_code for path in ("/", "/domains", "/incidents")]

    app.state.argos.database.close()

    assert pages == [200, 200, 200]
    with pooled.reading() as session:
        stored = session.execute(text("SELECT count(*) FROM results")).scalar_one()
        waiting = session.execute(text("SELECT count(*) FROM deliveries")).scalar_one()
        undone = session.execute(
            text("SELECT count(*) FROM duties WHERE finished_at IS NULL")
        ).scalar_one()
    assert stored == len(reported) == ROUNDS * len(SITES) * 2
    assert waiting == len(SITES) * 2
    assert undone == 0

    fewer = make_config(
        tmp_path, url=pooled_url, websites=SITES[:5], general__ipv6=False
    )
    counts = reconcile(pooled, fewer, now=clock.now, allow_mass_removal=True)
    assert counts is not None
    assert counts.deleted == 30
