"""Running commands, in this process and in their own."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from argos.commands import cli
from argos.server.database import Database
from argos.server.migrations.runner import migrate
from tests.tree import ROOT

Run = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]

CONFIG = """\
general:
  db: {{url: "sqlite:///{folder}/argos.db"}}
  cookie_secret: a-secret-of-the-tests
  frequency: "1m"
  ipv6: false
  alerts: {{ok: [], warning: [], critical: [local], unknown: [local], no_agent: []}}
{general}service: {{secrets: [s3cret]}}
ssl: {{thresholds: [{{"1d": critical}}, {{"5d": warning}}]}}
recurring_tasks: {{max_results_age: "30d", max_lock_seconds: 100, time_without_agent: 5}}
websites:
{websites}
"""
WEBSITE = """\
  - domain: "{url}"
    paths:
      - path: "/"
        checks: [{{status-is: 200}}]
"""


def write_config(
    path: Path, *urls: str, general: str = "", websites: str | None = None
) -> Path:
    """A config that watches these URLs, with its database beside it."""
    if websites is None:
        websites = "".join(WEBSITE.format(url=url) for url in urls) or "  []"
    path.write_text(
        CONFIG.format(folder=path.parent, general=general, websites=websites)
    )
    path.chmod(0o600)
    return path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config in the working directory, under the name that is looked for."""
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path / "argos-config.yaml", "http://127.0.0.1:9")


@pytest.fixture
def argos(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command in this process; its log goes to its standard error."""
    monkeypatch.delenv("ARGOS_YAML_FILE", raising=False)
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]

    def run(*arguments: str | Path, **options: object) -> Result:
        # The command may set the variable; this puts it back afterwards.
        env = {"ARGOS_YAML_FILE": os.environ.get("ARGOS_YAML_FILE")}
        return CliRunner().invoke(
            cli,
            [str(argument) for argument in arguments],
            env=env,
            prog_name="argos",
            **options,  # type: ignore[arg-type]  # what invoke() takes
        )

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema, to be copied."""
    path = tmp_path_factory.mktemp("database") / "argos.db"
    with closing(Database(f"sqlite:///{path}")) as database:
        migrate(database)
    return path


@pytest.fixture
def ready(config: Path, empty_database: Path, argos: Run) -> Path:
    """A config whose database has its schema and its tasks."""
    shutil.copy(empty_database, config.parent / "argos.db")
    assert argos("server", "reload-config").exit_code == 0
    return config


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command in a process of its own; what is left of it is killed."""
    with ExitStack() as stack:

        def run(*arguments: str | Path, **env: str) -> "subprocess.Popen[str]":
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", "argos", *map(str, arguments)],
                cwd=tmp_path,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "HOME": str(tmp_path),
                    **env,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            return process

        yield run


def read_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    """The output's lines up to the first that holds these words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            return lines
    raise AssertionError("\n".join([f"{words!r} was not said in:", *lines]))
