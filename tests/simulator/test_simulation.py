"""The real agents and the real services, through days of virtual time."""

import os

import pytest

from tests.simulator.checker import violations
from tests.simulator.scenario import calm, located, scenario_of, storm
from tests.simulator.world import simulate

SEEDS = int(os.environ.get("ARGOS_TEST_SEEDS", "12"))
POSTGRESQL_SEEDS = range(SEEDS, SEEDS + max(1, SEEDS // 15))
"""Other days, as each costs as much as three on SQLite."""
BLOCK = 6
FAILED_ONCE = (6,)
"""Seeds that found a bug; what it was stands in the changelog."""

pytestmark = pytest.mark.timeout(BLOCK * 60)


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_the_promises_hold_on_any_day(first):
    broken = {}
    for seed in range(first, min(first + BLOCK, SEEDS)):
        if found := violations(simulate(scenario_of(seed))):
            broken[f"python -m tests.simulator --seed {seed}"] = found[:10]

    assert broken == {}


@pytest.mark.parametrize("seed", range(max(1, SEEDS // 30)))
def test_the_promises_hold_where_several_places_watch(seed):
    history = simulate(located(seed))

    assert violations(history) == []
    assert {task.location for task in history.tasks} > {"place0"}


@pytest.mark.parametrize("seed", POSTGRESQL_SEEDS)
def test_the_promises_hold_on_postgresql(simulated_postgresql, seed):
    new_store = simulated_postgresql.new_store

    assert violations(simulate(scenario_of(seed), new_store=new_store)) == []


@pytest.mark.parametrize("seed", FAILED_ONCE)
def test_the_promises_hold_where_they_once_did_not(seed):
    assert violations(simulate(scenario_of(seed))) == []


def test_in_calm_weather_each_run_takes_place_and_nothing_is_repeated():
    scenario = calm(storm(7))

    history = simulate(scenario)

    assert violations(history) == []
    assert not any(result.is_late for result in history.results)
    assert len(history.sent) == len({sent.message_id for sent in history.sent})
    planned = scenario.sites * scenario.duration_s / scenario.period_s
    assert planned - scenario.sites <= len(history.leases) <= planned + scenario.sites


def test_the_same_seed_gives_the_same_history():
    first, second = simulate(storm(8)), simulate(storm(8))

    assert second.results == first.results
    assert second.leases == first.leases
    assert second.sent == first.sent


def test_the_storm_is_one():
    history = simulate(storm(0))

    assert violations(history) == []
    assert history.deaths > 2
    assert history.spooled
    assert history.events
    assert history.sent
    assert history.troubles
    assert history.reloads
