"""A world on a fresh database."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from argos.server.database import Database
from tests.server.store.variants import make_variants
from tests.server.store.world import SharedClock, World

CONNECTIONS = 8
START = datetime(2026, 3, 14, 23, 10, tzinfo=UTC)
"""A while before midnight, so that days come to their end."""


@pytest.fixture
def make_world(migrated_url: str, tmp_path: Path) -> Iterator[Callable[[], World]]:
    """Makes a world that has begun, with as many connections as there are players."""
    databases = []

    def make() -> World:
        database = Database(migrated_url, pool_size=CONNECTIONS, max_overflow=0)
        databases.append(database)
        world = World(
            database, SharedClock(START), make_variants(tmp_path, migrated_url)
        )
        world.begin()
        return world

    yield make
    for database in databases:
        database.close()
