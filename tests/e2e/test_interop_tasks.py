"""The same config makes the same tasks in Argos 0.10.3 and in ours, byte for byte.

Where they differ, the first reload after an upgrade would drop tasks with their history.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from argos.checks import get_registered_checks
from tests.e2e.programs import ARGOS, clean_environment, run

pytestmark = pytest.mark.timeout(180)  # the first one may have to install 0.10.3

CONFIGS = Path(__file__).parent / "configs"

COLUMNS = """
  url, domain, "check", expected, method, request_data, ip_version, task_group,
  frequency, recheck_delay, retry_before_notification, add_alerts_recipients,
  overwrite_alerts_recipients
"""

Rows = list[tuple[object, ...]]


class Program:
    """An Argos with an empty database, which is copied for each config."""

    def __init__(self, command: list[str | Path], folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._run("migrate", CONFIGS / "globbed.yaml")
        shutil.copy(folder / "argos.db", folder / "empty.db")

    def make_tasks(self, config: Path) -> Rows:
        """The tasks that it makes of a config."""
        database_path = self._folder / "argos.db"
        shutil.copy(self._folder / "empty.db", database_path)
        self._run("reload-config", config)
        with closing(sqlite3.connect(database_path)) as database:
            rows = database.execute(f"SELECT {COLUMNS} FROM tasks").fetchall()
        return sorted(rows, key=repr)

    def _run(self, step: str, config: Path) -> None:
        done = run(
            [*self._command, "server", step, "--config", config],
            cwd=self._folder,
            env=clean_environment(self._folder),
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program([*ARGOS], tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(ancestor: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program([ancestor], tmp_path_factory.mktemp("theirs"))


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_the_same_config_makes_the_same_tasks(name, ours, theirs):
    config = CONFIGS / f"{name}.yaml"

    wanted = theirs.make_tasks(config)

    assert wanted
    assert ours.make_tasks(config) == wanted


def test_the_configs_hold_every_check_of_0_10_3(ours):
    rows = ours.make_tasks(CONFIGS / "inline.yaml")

    known = {name for name, check in get_registered_checks().items() if check.is_legacy}
    assert {row[2] for row in rows} == known
