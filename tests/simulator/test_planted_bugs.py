"""A checker that finds nothing proves nothing: it must find bugs that are there."""

import logging
from collections.abc import Iterator

import pytest

from tests.simulator.bugs import BUGS
from tests.simulator.checker import violations
from tests.simulator.scenario import located_squall, squall, storm
from tests.simulator.world import simulate

SCENARIOS = [squall(0), squall(1), *map(storm, range(4))]
OF_PLACES = list(map(located_squall, range(6)))
"""In one of these each bug must show; in most it does in the first, and cheapest."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A squall is noisy, and a bug in it is worse."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_checker_finds(bug, monkeypatch):
    # Mutants, not stand-ins: nothing else may replace what is the product's own.
    if bug.replace is not None:
        monkeypatch.setattr(*bug.replace)

    found: list[str] = []
    for scenario in OF_PLACES if bug.is_of_places else SCENARIOS:
        found += violations(simulate(scenario, bug=bug))
        if any(text.startswith(bug.breaks) for text in found):
            return
    pytest.fail(f"not found: {bug.name}; but {found[:5]}")


def test_the_checker_finds_nothing_in_a_squall_without_a_bug():
    assert violations(simulate(SCENARIOS[0])) == []
