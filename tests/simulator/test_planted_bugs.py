"""A checker that finds nothing proves nothing: it must find bugs that are there."""

import pytest

from tests.simulator.bugs import BUGS
from tests.simulator.checker import violations
from tests.simulator.scenario import located_squall, squall, storm
from tests.simulator.sqlite_store import SQLiteStore
from tests.simulator.world import simulate

SCENARIOS = [squall(0), squall(1), *map(storm, range(4))]
OF_PLACES = list(map(located_squall, range(6)))
"""In one of these each bug must show; in most it does in the first, and cheapest."""
ON_POSTGRESQL = [bug for bug in BUGS if bug.is_for_postgresql]

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_checker_finds(bug, monkeypatch):
    look_for(bug, monkeypatch, SQLiteStore)


@pytest.mark.parametrize("bug", ON_POSTGRESQL, ids=lambda bug: bug.name)
def test_the_checker_finds_on_postgresql(bug, monkeypatch, simulated_postgresql):
    look_for(bug, monkeypatch, simulated_postgresql.new_store)


def look_for(bug, monkeypatch, new_store) -> None:
    # Mutants, not stand-ins: nothing else may replace what is the product's own.
    if bug.replace is not None:
        monkeypatch.setattr(*bug.replace)

    found: list[str] = []
    for scenario in OF_PLACES if bug.is_of_places else SCENARIOS:
        found += violations(simulate(scenario, bug=bug, new_store=new_store))
        if any(text.startswith(bug.breaks) for text in found):
            return
    pytest.fail(f"not found: {bug.name}; but {found[:5]}")


def test_the_checker_finds_nothing_in_a_squall_without_a_bug():
    assert violations(simulate(SCENARIOS[0])) == []
