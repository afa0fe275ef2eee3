"""GET /api/tasks, as agents of 0.10.3 call it, and as ours do."""

import threading
from datetime import UTC, datetime, timedelta
from time import monotonic

import msgspec
import pytest
from sqlalchemy import select, update

from argos.clock import utcnow
from argos.protocol import OPTIONS_CAPABILITY, Task as WireTask
from argos.server.models import Agent, Schedule, Task
from argos.server.queries.leased import LeanTask
from argos.server.routes.api.agent import LeaseQuery
from argos.server.services.lease import new_abilities
from tests.server.factories import add_group, add_groups

LEGACY_KEYS = [
    "id", "url", "domain", "ip_version", "check", "method", "request_data",
    "add_alerts_recipients", "overwrite_alerts_recipients", "expected", "task_group",
    "retry_before_notification", "contiguous_failures", "selected_at", "selected_by",
]  # fmt: skip
OURS = {"capabilities": "ipv6", "agent_id": "anna"}


@pytest.fixture
def groups(database) -> list[int]:
    with database.transaction() as session:
        return add_groups(session, 5, due_at=utcnow())


def test_agent_of_0_10_3_gets_exactly_the_keys_that_it_knows(agent_client, groups):
    answer = agent_client.get("/api/tasks", params={"limit": 2, "agent_id": "old"})

    tasks = answer.json()
    assert answer.status_code == 200
    assert [list(task) for task in tasks] == [LEGACY_KEYS] * 2
    task = tasks[0]
    moment = datetime.fromisoformat(task.pop("selected_at"))
    assert moment.tzinfo is None
    assert abs(moment.astimezone(UTC) - utcnow()) < timedelta(seconds=20)
    assert task == {
        "id": task["id"],
        "url": task["url"],
        "domain": task["url"],
        "ip_version": "4",
        "check": "status-is",
        "method": "GET",
        "request_data": None,
        "add_alerts_recipients": None,
        "overwrite_alerts_recipients": None,
        "expected": "200",
        "task_group": task["task_group"],
        "retry_before_notification": 0,
        "contiguous_failures": 0,
        "selected_by": "old",
    }


def test_selected_at_always_has_microseconds(agent_client, groups):
    tasks = agent_client.get("/api/tasks").json()

    assert {len(task["selected_at"]) for task in tasks} == {26}


def test_our_agent_gets_its_lease_too(agent_client, database, groups):
    answer = agent_client.get("/api/tasks", params={"limit": 1, **OURS})

    (task,) = answer.json()
    parsed = msgspec.convert(task, WireTask)
    with database.reading() as session:
        schedule = session.get_one(Schedule, parsed.group_id)
    assert list(task)[:15] == LEGACY_KEYS
    assert parsed.lease_no == schedule.lease_no == 1
    assert parsed.leased_at == schedule.leased_at
    assert parsed.timeout_s == 30.0
    assert answer.headers["Argos-Protocol"] == "2"


@pytest.mark.parametrize(
    ("who", "is_lean"),
    [(OURS, True), ({"agent_id": "old"}, False)],
    ids=["ours", "old"],
)
def test_only_an_agent_of_ours_gets_lean_tasks(agent_client, groups, who, is_lean):
    tasks = agent_client.get("/api/tasks", params={"lean": 1, **who}).json()

    assert len(tasks) == 5
    assert {"domain" in task for task in tasks} == {not is_lean}
    assert {"lease_no" in task for task in tasks} == {is_lean}


def test_lean_tasks_say_the_same_as_others(agent_client, database, groups):
    with database.transaction() as session:
        session.execute(
            update(Task).values(method="POST", request_data='{"json": {"a": 1}}')
        )
        session.execute(update(Schedule).values(options={"verify": False}))
    full = agent_client.get("/api/tasks", params=OURS).json()
    with database.transaction() as session:
        session.execute(update(Schedule).values(due_at=utcnow()))

    lean = agent_client.get("/api/tasks", params={"lean": 1, **OURS}).json()

    passing = {"lease_no", "leased_at", "due_in_s"}
    names = set(LeanTask.__struct_fields__) - passing
    assert [{name: task.get(name) for name in names} for task in lean] == [
        {name: task[name] for name in names} for task in full
    ]
    assert {task["lease_no"] for task in lean} == {2}
    assert {len(task) for task in lean} == {len(names) + 2}


def test_lease_of_an_agent_of_0_10_3_lasts_as_the_config_says(
    agent_client, database, groups
):
    agent_client.get("/api/tasks", params={"agent_id": "old"})

    with database.reading() as session:
        lasts = {
            schedule.due_at - schedule.leased_at
            for schedule in session.scalars(select(Schedule))
        }
    assert lasts == {timedelta(seconds=100)}


@pytest.mark.parametrize(
    ("limit", "count"), [(None, 5), (0, 0), (1, 1), (4, 4), (10**9, 5)]
)
def test_limit_is_honoured_exactly(agent_client, groups, limit, count):
    params = {} if limit is None else {"limit": limit}

    assert len(agent_client.get("/api/tasks", params=params).json()) == count


def test_limit_is_ten_unless_said(agent_client, database):
    with database.transaction() as session:
        add_groups(session, 12, due_at=utcnow())

    assert len(agent_client.get("/api/tasks").json()) == 10


def test_no_call_gets_more_than_the_cap(agent_client, database):
    with database.transaction() as session:
        add_groups(session, 502, due_at=utcnow())

    assert len(agent_client.get("/api/tasks", params={"limit": 1000}).json()) == 500


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"limit": -1}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"wait": "long"}, "wait"),
        ({"wait": -1}, "wait"),
        ({"wait": "nan"}, "wait"),
        ({"ahead": -1}, "ahead"),
        ({"slots": -3}, "slots"),
        ({"cpu_percent": "inf"}, "cpu_percent"),
        ({"lag_ms": -1}, "lag_ms"),
        ({"clock": "noon"}, "clock"),
        ({"clock": "inf"}, "clock"),
        ({"busy": 2**40}, "busy"),
    ],
    ids=str,
)
def test_bad_number_is_refused_with_its_place(agent_client, groups, params, place):
    answer = agent_client.get("/api/tasks", params=params)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", place]


def test_documentation_of_the_api_names_what_a_call_may_say(agent_client):
    operation = agent_client.app.openapi()["paths"]["/api/tasks"]["get"]

    names = [parameter["name"] for parameter in operation["parameters"]]
    assert names == ["agent_id", *LeaseQuery.model_fields]


def test_agent_without_a_name_is_called_by_its_address(agent_client, groups):
    (task, *_) = agent_client.get("/api/tasks").json()

    assert task["selected_by"] == "testclient"


def test_name_of_an_agent_is_made_visible_and_bounded(agent_client, groups):
    params = {"limit": 1, "agent_id": "a\0b\u202e" + "x" * 300}

    (task,) = agent_client.get("/api/tasks", params=params).json()

    assert task["selected_by"].startswith("a\\u0000b\\u202exxx")
    assert len(task["selected_by"]) == 200


def test_an_agent_that_knows_only_the_checks_gets_no_options(agent_client, database):
    with database.transaction() as session:
        options = {"auth": {"bearer": "canary-7f3a"}}
        add_group(session, "a", due_at=utcnow(), pool=2, options=options)
    checks = new_abilities() - {OPTIONS_CAPABILITY}

    for announced in (None, "ipv6", ",".join(checks)):
        params = {} if announced is None else {"capabilities": announced}
        assert agent_client.get("/api/tasks", params=params).json() == []
    params = {"capabilities": ",".join(new_abilities())}
    (task,) = agent_client.get("/api/tasks", params=params).json()

    assert task["options"] == options
    assert "canary" not in repr(WireTask(**task))


@pytest.mark.parametrize(
    ("params", "pools"),
    [
        ({}, {0, 1}),
        ({"capabilities": ""}, {0}),
        ({"capabilities": "ipv6"}, {0, 1}),
        ({"capabilities": "ipv6,of-a-later-version"}, {0, 1}),
        ({"capabilities": "ALL"}, {0, 2}),
        ({"capabilities": " ipv6 ,ALL"}, {0, 1, 2, 3}),
    ],
    ids=["0.10.3", "nothing", "IPv6", "other checks", "new checks", "everything"],
)
def test_agent_gets_what_it_can_probe(agent_client, database, params, pools):
    everything = ",".join(sorted(new_abilities()))
    params = {name: value.replace("ALL", everything) for name, value in params.items()}
    with database.transaction() as session:
        names = {
            add_group(session, f"pool{pool}", due_at=utcnow(), pool=pool).id: pool
            for pool in range(4)
        }
        ids = {f"https://pool{pool}.example.org/": pool for pool in names.values()}

    tasks = agent_client.get("/api/tasks", params=params).json()

    assert {ids[task["url"]] for task in tasks} == pools


def test_agent_is_written_down_with_what_it_tells(agent_client, database):
    agent_client.get(
        "/api/tasks",
        params={
            "agent_id": "anna",
            "capabilities": "ipv6,b,a",
            "version": "1.2.3\x07",
            "slots": 50,
            "busy": 3,
            "spooled": 7,
            "waiting": 12,
            "cpu_percent": 51.5,
            "lag_ms": 3.5,
            "over_budget": 1,
        },
    )

    with database.reading() as session:
        agent = session.scalars(select(Agent)).one()
    assert (agent.name, agent.address) == ("anna", "testclient")
    assert agent.capabilities == ["a", "b", "ipv6"]
    assert agent.version == "1.2.3\\u0007"
    assert (agent.slots, agent.busy, agent.spooled) == (50, 3, 7)
    assert (agent.waiting, agent.cpu_percent, agent.lag_ms) == (12, 51.5, 3.5)
    assert agent.is_over_budget is True
    assert abs(agent.last_seen_at - utcnow()) < timedelta(seconds=20)


@pytest.mark.parametrize("offset_s", [0, 75, -4e8, 1e300])
def test_i17_it_is_known_by_how_much_an_agents_clock_is_off(
    agent_client, database, offset_s
):
    shown = utcnow().timestamp() + offset_s
    agent_client.get("/api/tasks", params={"agent_id": "anna", "clock": shown})

    with database.reading() as session:
        agent = session.scalars(select(Agent)).one()
    assert agent.clock_offset_s == pytest.approx(offset_s, abs=20)


def test_i17_a_report_says_nothing_of_a_clock(agent_client, database):
    params = {"agent_id": "anna", "clock": utcnow().timestamp() + 90}
    agent_client.get("/api/tasks", params=params)
    agent_client.post("/api/results", params={"agent_id": "anna"}, json=[])

    with database.reading() as session:
        agent = session.scalars(select(Agent)).one()
    assert agent.clock_offset_s == pytest.approx(90, abs=20)


def test_agent_of_0_10_3_does_not_wait(agent_client):
    begin = monotonic()

    assert agent_client.get("/api/tasks").json() == []
    assert monotonic() - begin < 1.0


def test_wait_ends_when_a_group_falls_due(agent_client, database):
    begin = monotonic()
    with database.transaction() as session:
        add_group(session, "a", due_at=utcnow() + timedelta(seconds=0.5))

    tasks = agent_client.get("/api/tasks", params={"wait": 20, **OURS}).json()

    assert len(tasks) == 1
    assert 0.3 < monotonic() - begin < 5.0


def test_groups_are_handed_out_ahead_with_the_time_until_they_are_due(
    agent_client, database
):
    began_at = utcnow()
    planned = [began_at + timedelta(seconds=seconds) for seconds in (3, 4, 20)]
    with database.transaction() as session:
        for place, moment in enumerate(planned):
            add_group(session, f"site{place}", due_at=moment, next_run=moment)

    params = {"wait": 20, "ahead": 5, **OURS}
    answer = agent_client.get("/api/tasks", params=params).json()

    answered_at = utcnow()
    leased_at = datetime.fromisoformat(answer[0]["leased_at"])
    waits = [timedelta(seconds=task["due_in_s"]) for task in answer]
    for wait, moment in zip(waits, planned[:2], strict=True):
        assert leased_at < moment - wait <= answered_at
    # Half of the time before the first one, so that the agent has it in hand.
    assert began_at + timedelta(seconds=0.5) <= leased_at < planned[0]


def test_agents_of_0_10_3_get_nothing_ahead(agent_client, database):
    moment = utcnow() + timedelta(seconds=4)
    with database.transaction() as session:
        add_group(session, "a", due_at=moment, next_run=moment)

    assert agent_client.get("/api/tasks", params={"ahead": 5}).json() == []


def test_wait_notices_a_group_that_others_made_due(agent_client, database):
    def add_later() -> None:
        with database.transaction() as session:
            add_group(session, "a", due_at=utcnow())

    threading.Timer(0.3, add_later).start()

    tasks = agent_client.get("/api/tasks", params={"wait": 20, **OURS}).json()

    assert len(tasks) == 1


def test_wait_ends_with_nothing_after_its_time(agent_client):
    begin = monotonic()

    answer = agent_client.get("/api/tasks", params={"wait": 0.4, **OURS})

    assert answer.json() == []
    assert 0.35 < monotonic() - begin < 5.0


def test_wait_ends_when_the_server_stops(app, agent_client):
    threading.Timer(0.3, app.state.argos.waiting.end).start()
    begin = monotonic()

    assert agent_client.get("/api/tasks", params={"wait": 50, **OURS}).json() == []
    assert monotonic() - begin < 10.0


def test_waiting_agents_hold_no_connection(app, agent_client):
    pools = [engine.pool for engine in app.state.argos.database.engines]
    is_over = threading.Event()
    in_use: list[int] = []

    def look() -> None:
        while not is_over.wait(0.02):
            in_use.append(sum(pool.checkedout() for pool in pools))

    looker = threading.Thread(target=look)
    looker.start()
    agent_client.get("/api/tasks", params={"wait": 2, **OURS})
    is_over.set()
    looker.join()

    # The server's own threads use one now and then.
    assert in_use.count(0) > len(in_use) / 4


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_other_methods_are_not_allowed(agent_client, method):
    assert getattr(agent_client, method)("/api/tasks").status_code == 405
