"""An audit that finds nothing proves nothing: it must find bugs that are there."""

import logging
from collections.abc import Iterator

import pytest

from argos.server.queries import leases
from tests.server.store.audit import faults
from tests.server.store.bugs import BUGS
from tests.server.store.conftest import CONNECTIONS
from tests.server.store.world import Player

ROUNDS = 12
ATTEMPTS = 5
"""After so many rounds, so many times, a bug must have shown."""


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Bugs are noisy; and what they leave in caches must go."""
    logging.disable(logging.CRITICAL)
    yield
    leases._lease_sql.cache_clear()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("migrated_url", "bug"),
    [("postgresql" if bug.needs_threads else "sqlite", bug) for bug in BUGS],
    ids=lambda value: getattr(value, "name", value),
    indirect=["migrated_url"],
)
@pytest.mark.timeout(120)
def test_the_audit_finds(bug, make_world, monkeypatch):
    world = make_world()
    players = [Player(world, f"player{n}", seed=n) for n in range(CONNECTIONS)]
    # Mutants, not stand-ins: nothing else may replace what is the product's own.
    bug.plant(monkeypatch)

    found: list[str] = []
    for attempt in range(ATTEMPTS):
        world.play(players, rounds=ROUNDS, seed=attempt, at_once=bug.needs_threads)
        world.settle()
        found += faults(world)
        if any(fault.startswith(bug.breaks) for fault in found):
            return
        world.is_calm = False
    pytest.fail(f"not found: {bug.name}; but {found[:5]}")
