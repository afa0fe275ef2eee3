"""Results that have no row: counted all the same, each once, whatever happens to it."""

import math
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import select

from argos.core.lease_log import OUTDATED_DAYS
from argos.core.rollup import Kind, hour_of
from argos.core.severity import Severity
from argos.protocol import ReportAnswer
from argos.server.database import Database
from argos.server.models import (
    Result,
    Task,
)
from argos.server.routes.pages.timing import ChartRange, phase_chart
from argos.server.services.moves import OLDEST_RESULT
from argos.server.settings import LoadedConfig
from tests.server.factories import add_group
from tests.server.recount import read_kinds
from tests.server.services.keeping_world import (
    CALM,
    MINUTE,
    START,
    STEPS,
    Step,
    World,
    play,
)


@pytest.fixture
def make_world(
    database: Database, make_loaded: Callable[..., LoadedConfig]
) -> Callable[[str], World]:
    configs = {
        # Nothing of all this is to be too old.
        keep: make_loaded(
            results={"keep": keep}, recurring_tasks__max_results_age="90d"
        ).config
        for keep in ("all", "changes")
    }
    return lambda keep: World(database, configs, keep)


@pytest.mark.parametrize("keep", ["changes", "both"])
def test_figures_and_states_are_the_same_whatever_results_have_rows(make_world, keep):
    # One database after the other of the same two: making them takes longest.
    is_sqlite = make_world("all").database.is_sqlite

    @settings(
        max_examples=20 if is_sqlite else 8,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        phases=(Phase.reuse, Phase.generate),
    )
    @given(STEPS)
    def compare(steps: list[Step]) -> None:
        full = play(make_world("all"), steps)
        wanted, all_rows = full.outcome(), full.rows()
        assert full.left_out() == 0

        spare = play(make_world(keep), steps)

        assert spare.outcome() == wanted
        assert spare.rows() <= all_rows
        assert spare.rows().total() + spare.left_out() == all_rows.total()

    compare()


@pytest.fixture
def world(make_world: Callable[[str], World]) -> World:
    return make_world("changes")


def runs(world: World, count: int, what: str = "run") -> World:
    return play(world, [Step(what, 1)] * count)


def kept(world: World, check: str = "status-is", site: str = "a") -> list[Result]:
    ids = [
        id_
        for id_, name in world.names.items()
        if name == f"https://{site}.example.org/ {check}"
    ]
    with world.database.reading() as session:
        return list(
            session.scalars(
                select(Result)
                .where(Result.task_id.in_(ids))
                .order_by(Result.submitted_at)
            )
        )


def task_of(world: World) -> Task:
    (result, *_) = kept(world)
    with world.database.reading() as session:
        return session.get_one(Task, result.task_id)


def test_of_a_calm_task_the_first_result_of_each_hour_has_a_row(world):
    runs(world, 40)

    hours = [hour_of(row.submitted_at) for row in kept(world)]
    assert hours == sorted(set(hours))
    assert len(hours) == 4
    task = task_of(world)
    assert task.completed_at is not None
    assert task.kept_at == kept(world)[-1].submitted_at < task.completed_at
    with world.database.reading() as session:
        counted = sum(
            count
            for (task_id, _, kind), count in read_kinds(session).items()
            if task_id == task.id and kind == Kind.OK
        )
    assert counted == 40


def test_a_result_says_how_many_like_the_one_before_have_no_row(world):
    runs(world, 6)
    runs(world, 1, "run badly")

    rows = kept(world)
    assert [row.severity for row in rows][:2] == ["ok", rows[1].severity]
    assert rows[1].severity is not Severity.OK
    assert [row.left_out for row in rows] == [None, 5]
    task = task_of(world)
    assert (task.kept_at, task.left_out) == (None, None)


def test_what_differs_from_the_last_row_in_its_facts_has_one(world):
    runs(world, 4)
    play(world, [Step("run", 19), Step("run", 19), Step("run", 19)])

    rows = kept(world, "json-has")
    assert [row.context for row in rows] == [{"retrieved": 0}, {"retrieved": 1}]
    assert [row.left_out for row in rows] == [None, 3]


def test_how_long_it_took_this_time_is_no_news_of_a_response_time(make_world, database):
    world = make_world("changes")
    with database.transaction() as session:
        add_group(
            session, "c", due_at=START, checks=("response-time",),
            tasks=CALM | {"expected": '{"phase": "total", "critical": 900}'},
        )  # fmt: skip
        world.names = {
            task.id: f"{task.domain} {task.check}"
            for task in session.scalars(select(Task))
        }
    for elapsed_ms in (11.0, 12.0, 13.0):
        world.now += 5 * MINUTE
        items = [
            world.measure(task, Step("run", 1))
            | {"status": "on-check", "context": {"elapsed_ms": elapsed_ms}}
            for task in world.lease("anna")
            if "response-time" in world.names[task.id]
        ]
        world.post("anna", items)

    (row,) = kept(world, "response-time", "c")
    assert row.context == {"elapsed_ms": 11.0}


def test_what_is_measured_in_maintenance_has_a_row_each_time(world):
    runs(world, 3)
    world.maintain(3)
    runs(world, 6)

    flags = [(row.in_maintenance, row.left_out) for row in kept(world)]
    assert flags == [
        *[(False, None), (True, 2), (True, None), (True, None)],
        # The first one after it stands for those that follow.
        (False, None),
    ]


def test_a_run_that_had_no_row_is_known_however_late_it_is_repeated(world):
    runs(world, 3)
    agent, items = world.posted[1]
    runs(world, 100)
    runs(world, 3, "lose")
    world.now += timedelta(days=12)
    before = world.outcome(), world.rows()

    answer = world.post(agent, items)

    assert answer == ReportAnswer(result_ids=[], refused=[])
    assert (world.outcome(), world.rows()) == before


def test_a_late_result_of_a_lease_that_nobody_reported_is_counted_once(world):
    runs(world, 3)
    runs(world, 1, "hold back")
    runs(world, 30)
    agent, items = world.held_back[0]
    counted = world.outcome()["counts"].total()

    for _ in range(3):
        world.post(agent, items)

    assert world.outcome()["counts"].total() == counted + len(items)
    assert sum(row.is_late for row in kept(world)) == 1


def test_a_repeat_is_known_after_rows_are_kept_again(make_world):
    world = make_world("both")
    runs(world, 5)
    agent, items = world.posted[2]
    world.take(Step("switch", 0))
    runs(world, 5)
    before = world.outcome(), world.rows()

    world.post(agent, items)

    assert (world.outcome(), world.rows()) == before
    assert [row.left_out for row in kept(world)][:2] == [None, 4]


def test_the_chart_of_a_task_with_few_rows_counts_all_probes(make_world):
    times: dict[int, list[int]] = {}
    full = runs(make_world("all"), 40)
    for row in kept(full) + kept(full, "json-has"):
        times.setdefault(hour_of(row.submitted_at), []).append(row.total_us or 0)
    spare = runs(make_world("changes"), 40)

    with spare.database.reading() as session:
        chart = phase_chart(
            session,
            task_id=task_of(spare).id,
            chart_range=ChartRange.DAY,
            now=spare.now,
        )

    assert chart.is_thinned
    assert chart.span.width == timedelta(hours=1)
    hours = {hour_of(chart.span.begin(one.bucket)): one for one in chart.samples}
    assert {hour: one.count * 2 for hour, one in hours.items()} == {
        hour: len(found) for hour, found in times.items()
    }
    for hour, found in times.items():
        exact = sorted(found)[math.ceil(len(found) * 0.95) - 1]
        assert hours[hour].p95 * 1000 == pytest.approx(exact, rel=0.1)


@pytest.fixture(autouse=True)
def no_patience_for_noise(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing of all this is refused."""
    yield
    assert "was refused" not in caplog.text


def test_no_lease_is_forgotten_of_which_a_result_would_be_taken():
    assert timedelta(days=OUTDATED_DAYS) > OLDEST_RESULT + timedelta(days=1)
