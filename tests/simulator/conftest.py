"""PostgreSQL for simulations."""

import logging
from collections.abc import Iterator

import pytest

from tests.simulator.postgresql_store import PostgreSQLServer, simulated_server


@pytest.fixture(scope="session")
def simulated_postgresql(postgresql_server: str) -> Iterator[PostgreSQLServer]:
    """Makes the databases of worlds that are on PostgreSQL."""
    with simulated_server(postgresql_server) as server:
        yield server


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A day's worth of log lines is of no use; `python -m tests.simulator` shows them."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
