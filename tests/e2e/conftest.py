"""Everything together: processes, a real nginx, both databases, and Argos 0.10.3."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests.e2e.ancestor import VERSION, find_ancestor
from tests.e2e.fleet import Fleet, run_fleet

HERE = Path(__file__).parent
ONLY_LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="it needs all of 127.0.0.0/8, and /proc"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "e2e: drives whole programs; `-m 'not e2e'` leaves these out"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("e2e")
            item.add_marker(ONLY_LINUX)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(120))


@pytest.fixture(scope="session")
def ancestor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The command of Argos 0.10.3; kept from one run of the tests to the next."""
    cache = getattr(request.config, "cache", None)
    if cache is not None:
        return find_ancestor(cache.mkdir(f"argos-{VERSION}"))
    # The parent folder is shared by all xdist workers of one run.
    return find_ancestor(tmp_path_factory.getbasetemp().parent / f"argos-{VERSION}")


@pytest.fixture(scope="module")
def fleet(
    nginx_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """A hundred websites."""
    folder = tmp_path_factory.mktemp("fleet") / "fleet"
    with run_fleet(nginx_binary, folder) as fleet:
        yield fleet


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database, of each kind; a SQLite one lies where it is used."""
    if request.param == "sqlite":
        yield "sqlite:///argos.db"
        return
    admin: psycopg.Connection = request.getfixturevalue("postgresql_admin")
    name = f"test_{uuid.uuid4().hex}"
    database = sql.Identifier(name)
    admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(database))
    url = make_url(request.getfixturevalue("postgresql_server")).set(database=name)
    yield url.render_as_string(hide_password=False)
    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
