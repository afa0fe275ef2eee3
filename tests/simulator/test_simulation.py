"""The real agent and the real services, through hours of virtual time."""

import dataclasses
import os
from datetime import timedelta

import pytest

from tests.simulator.history import History, violations
from tests.simulator.network import Faults
from tests.simulator.world import Scenario, simulate

SEEDS = int(os.environ.get("ARGOS_TEST_SEEDS", "5"))

# Each seed is real work: half an hour of two agents in some seconds.
pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_promises_hold_in_any_weather(seed, tmp_path):
    history = simulate(Scenario(seed), tmp_path)

    assert violations(history) == []
    assert len(history.results) > 100


def test_in_calm_weather_nothing_is_late_and_nothing_repeated(tmp_path):
    scenario = Scenario(
        1000, rough_s=60, faults=Faults(), crash_every_s=float("inf"), calm_s=1_800
    )

    history = simulate(scenario, tmp_path)

    assert violations(history) == []
    assert not any(result.is_late for result in history.results)
    runs = len({(lease.group_id, lease.lease_no) for lease in history.leases})
    minutes = (1_800 + 60 + 45 + 120) / 60
    assert scenario.site_count * (minutes - 1) <= runs
    assert runs <= scenario.site_count * (minutes + 2)


@pytest.fixture(scope="module")
def stormy(tmp_path_factory) -> History:
    return simulate(Scenario(2000), tmp_path_factory.mktemp("stormy"))


def test_the_same_seed_gives_the_same_history(stormy, tmp_path):
    again = simulate(Scenario(2000), tmp_path)

    assert again.results == stormy.results
    assert again.leases == stormy.leases


def test_the_storm_was_one(stormy):
    assert any(result.is_late for result in stormy.results)
    assert stormy.events


def planted(stormy: History, **changes) -> list[str]:
    return violations(dataclasses.replace(stormy, **changes))


def test_the_checker_sees_two_holders(stormy):
    first = stormy.leases[0]
    second = dataclasses.replace(
        first, at=first.at + timedelta(seconds=1), lease_no=first.lease_no + 1
    )
    leases = [first, second, *stormy.leases[1:]]

    assert any("I-02" in each for each in planted(stormy, leases=leases))


def test_the_checker_sees_a_lease_that_was_given_out_twice(stormy):
    leases = [stormy.leases[0], *stormy.leases]

    assert any("I-01" in each for each in planted(stormy, leases=leases))


def test_the_checker_sees_a_task_that_starves(stormy):
    starving = stormy.tasks[0].task_id
    results = [result for result in stormy.results if result.task_id != starving]

    assert any("I-03" in each for each in planted(stormy, results=results))


def test_the_checker_sees_a_lost_result(stormy):
    lost = min(stormy.accepted)
    results = [
        result
        for result in stormy.results
        if (result.task_id, result.submitted_at) != lost
    ]

    assert any("I-10" in each for each in planted(stormy, results=results))


def test_the_checker_sees_a_run_that_moved_its_task_twice(stormy):
    events = [*stormy.events, dataclasses.replace(stormy.events[-1], seq=99)]

    assert any("I-11" in each for each in planted(stormy, events=events))


def test_the_checker_sees_a_state_of_the_past(stormy):
    old = dataclasses.replace(stormy.tasks[0], completed_at=stormy.calm_from)

    assert any(
        "I-13" in each for each in planted(stormy, tasks=[old, *stormy.tasks[1:]])
    )
