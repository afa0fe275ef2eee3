"""Migrated databases of each kind, a config, and a moment to stand on."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg import sql
from sqlalchemy import make_url

from argos.schemas import Config
from argos.server.database import Database
from argos.server.main import get_application
from argos.server.migrations.runner import migrate
from argos.server.routes.access import get_login_service
from argos.server.routes.security import form_token
from argos.server.services.login import token_digest
from argos.server.settings import LoadedConfig
from tests.server.browsing import (
    FLEET,
    PASSWORD,
    SESSION_TOKEN,
    TurnedClock,
    browse,
    cheap_login_service,
    logged_in,
)
from tests.server.demo_data import seed_demo
from tests.server.demo_sites import Site, demo_sites
from tests.server.factories import make_config

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """A moment to stand on."""
    return NOW


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


@pytest.fixture(scope="session")
def seeded_sqlite(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory, password_hash: str
) -> Path:
    """A SQLite file with the fleet, to be copied."""
    path = tmp_path_factory.mktemp("seeded") / "argos.db"
    shutil.copy(migrated_sqlite, path)
    _seed(f"sqlite:///{path}", password_hash)
    return path


@pytest.fixture(scope="session")
def seeded_postgresql(
    migrated_postgresql: str,
    postgresql_server: str,
    postgresql_admin: psycopg.Connection,
    password_hash: str,
) -> Iterator[str]:
    """The name of a PostgreSQL database with the fleet, to be copied."""
    name = f"seeded_{uuid.uuid4().hex}"
    _copy_database(postgresql_admin, migrated_postgresql, name)
    url = make_url(postgresql_server).set(database=name)
    _seed(url.render_as_string(hide_password=False), password_hash)
    yield name
    postgresql_admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def _seed(url: str, password_hash: str) -> None:
    with closing(Database(url)) as database, database.transaction() as session:
        seed_demo(
            session,
            now=NOW,
            sites=_fleet(),
            span=timedelta(hours=1),
            password_hash=password_hash,
        )


def _copy_database(admin: psycopg.Connection, template: str, name: str) -> None:
    admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
            sql.Identifier(name), sql.Identifier(template)
        )
    )


@pytest.fixture
def content(request: pytest.FixtureRequest) -> str:
    """What a fresh database has: the schema, or the fleet, too."""
    return "seeded" if "seeded" in request.fixturenames else "migrated"


@pytest.fixture
def migrated_sqlite_url(
    request: pytest.FixtureRequest, content: str, tmp_path: Path
) -> str:
    """The URL of a fresh SQLite database that has the schema."""
    path = tmp_path / "argos.db"
    shutil.copy(request.getfixturevalue(f"{content}_sqlite"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def migrated_postgresql_url(
    request: pytest.FixtureRequest,
    content: str,
    postgresql_server: str,
    postgresql_admin: psycopg.Connection,
) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database that has the schema."""
    name = f"test_{uuid.uuid4().hex}"
    template = request.getfixturevalue(f"{content}_postgresql")
    _copy_database(postgresql_admin, template, name)
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
def sqlite_database(migrated_sqlite_url: str) -> Iterator[Database]:
    """SQLite with the schema, for what only it does."""
    database = Database(migrated_sqlite_url)
    yield database
    database.close()


@pytest.fixture
def postgresql_database(migrated_postgresql_url: str) -> Iterator[Database]:
    """PostgreSQL with the schema, for what only it does."""
    database = Database(migrated_postgresql_url)
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


@pytest.fixture
def clock(now: datetime) -> TurnedClock:
    """The server's clock."""
    return TurnedClock(now)


@pytest.fixture
def fleet() -> list[Site]:
    """Nine websites, in all kinds of trouble and in none."""
    return _fleet()


def _fleet() -> list[Site]:
    return [site for site in demo_sites() if site.host in FLEET]


@pytest.fixture(scope="session")
def password_hash() -> str:
    """A cheap hash, of the kind that 0.10.3 stored."""
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def seeded(database: Database) -> Database:
    """A database with the fleet and the last hour of its results; see `content`."""
    return database


@pytest.fixture
def make_app(
    make_loaded: Callable[..., LoadedConfig], clock: TurnedClock
) -> Iterator[Callable[..., FastAPI]]:
    """Makes the application, by a config with changed settings."""
    apps = []

    def make(**changes: Any) -> FastAPI:
        app = get_application(make_loaded(**changes), clock=clock)
        app.dependency_overrides[get_login_service] = cheap_login_service
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.state.argos.database.close()


@pytest.fixture
def web_app(make_app: Callable[..., FastAPI], seeded: Database) -> FastAPI:
    """The application with the fleet; its loops are not started."""
    return make_app()


@pytest.fixture
def stranger(web_app: FastAPI) -> TestClient:
    """Somebody who is not logged in."""
    return browse(web_app)


@pytest.fixture
def admin(web_app: FastAPI, seeded: Database, now: datetime) -> TestClient:
    """Somebody who is logged in."""
    return logged_in(web_app, seeded, now=now)


@pytest.fixture
def csrf(web_app: FastAPI) -> str:
    """The token that the forms of the fixture `admin` bring."""
    digest = token_digest(SESSION_TOKEN)
    return form_token(web_app.state.argos.config, digest.hex())
