"""Migrated databases of each kind, a config, and a moment to stand on."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from argos.schemas import Config
from argos.server.database import Database
from argos.server.migrations.runner import migrate
from argos.server.settings import LoadedConfig
from tests.server.factories import make_config


@pytest.fixture
def now() -> datetime:
    """A moment to stand on."""
    return datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "argos.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(
    postgresql_server: str, postgresql_admin: psycopg.Connection
) -> Iterator[str]:
    """The name of a PostgreSQL database with the schema, to be copied."""
    name = f"migrated_{uuid.uuid4().hex}"
    identifier = sql.Identifier(name)
    postgresql_admin.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    url = make_url(postgresql_server).set(database=name)
    database = Database(url.render_as_string(hide_password=False))
    migrate(database)
    database.close()
    yield name
    postgresql_admin.execute(sql.SQL("DROP DATABASE {}").format(identifier))


@pytest.fixture
def migrated_sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The URL of a fresh SQLite database that has the schema."""
    path = tmp_path / "argos.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture
def migrated_postgresql_url(
    migrated_postgresql: str,
    postgresql_server: str,
    postgresql_admin: psycopg.Connection,
) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database that has the schema."""
    name = f"test_{uuid.uuid4().hex}"
    postgresql_admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
            sql.Identifier(name), sql.Identifier(migrated_postgresql)
        )
    )
    url = make_url(postgresql_server).set(database=name)
    yield url.render_as_string(hide_password=False)
    postgresql_admin.execute(
        sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database that has the schema, of each kind."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A database with the schema; the test runs once for each kind."""
    database = Database(migrated_url)
    yield database
    database.close()


@pytest.fixture
def make_loaded(migrated_url: str, tmp_path: Path) -> Callable[..., LoadedConfig]:
    """Reads a config with changed settings, as `make_config` does."""

    def make(**changes: object) -> LoadedConfig:
        return make_config(tmp_path, url=migrated_url, **changes)

    return make


@pytest.fixture
def loaded(make_loaded: Callable[..., LoadedConfig]) -> LoadedConfig:
    """A config that says as little as a config can."""
    return make_loaded()


@pytest.fixture
def config(loaded: LoadedConfig) -> Config:
    """What that config says."""
    return loaded.config
