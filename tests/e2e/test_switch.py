"""An installation of Argos 0.10.3 is switched over to ours, and back again."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.installation import Installation, for_everybody, make_config
from tests.e2e.nginx import Host, Nginx
from tests.e2e.programs import ARGOS, free_port
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.timeout(240)  # the first one may have to install 0.10.3

HEAD_OF_0_10_3 = "f0b3ce75afa4"
ZONE = "Pacific/Auckland"
"""Where 0.10.3 writes local times, far from UTC."""

USERS = {"ann": "ann's pässword 1", "bob": "bob's password 2"}
RESULTS_WITHIN_S = 30


@pytest.fixture
def websites(nginx_binary: str, tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """One that is fine and one that is not, with some checks each."""
    hosts = [Host("127.0.5.1", 'return 200 "Grüße";'), Host("127.0.5.2", "return 500;")]
    with Nginx(nginx_binary, tmp_path / "nginx", hosts, port=free_port()) as nginx:
        yield [
            {
                "domain": nginx.url(host),
                "paths": [
                    {
                        "path": path,
                        "checks": [{"status-is": 200}, {"body-contains": "Grüße"}],
                    }
                    for path in ("/", "/ü")
                ],
            }
            for host in hosts
        ]


@pytest.fixture
def old(websites, database_url: str, ancestor: Path, tmp_path: Path) -> Installation:
    """An installation of 0.10.3, with an empty database."""
    config = make_config(
        websites,
        database_url=for_everybody(database_url),
        general={"unauthenticated_access": None},
    )
    return Installation(tmp_path / "argos", config, command=[ancestor], zone=ZONE)


@pytest.fixture
def new(old: Installation) -> Installation:
    """Our Argos in the same folder, with the same config and database."""
    return old.with_command(ARGOS)


@pytest.fixture
def filled(old: Installation) -> tuple[datetime, datetime]:
    """From when to when 0.10.3 has worked in the database."""
    filled_from = datetime.now(UTC)
    old.prepare()
    for name in USERS:
        old.must("server", "user", "add", *credentials(name))
    work_for_a_while(old, "old")
    return filled_from, datetime.now(UTC)


def work_for_a_while(argos: Installation, agent: str) -> str:
    """Let server and agent work until each task has a result; what the server said."""
    before = set(result_ids(argos))
    tasks = set(argos.select("SELECT id FROM tasks"))
    with argos.start_server() as server, argos.agent(agent):
        wait_until(
            lambda: (
                {
                    task_id
                    for result_id, task_id in argos.select(
                        "SELECT id, task_id FROM results"
                    )
                    if result_id not in before
                }
                == tasks
            ),
            within_s=RESULTS_WITHIN_S,
            what="a new result of each task",
        )
        server.stop()
    return server.output


def result_ids(argos: Installation) -> list[int]:
    return argos.select("SELECT id FROM results ORDER BY id")


def tasks(argos: Installation) -> list[Any]:
    return argos.select(
        'SELECT id, url, domain, "check", expected, severity, task_group FROM tasks'
        " ORDER BY id"
    )


def changes(said: str) -> dict[str, int]:
    """What `reload-config` has done."""
    return {
        what: int(count) for count, what in re.findall(r"(\d+) task\(s\) (\w+)", said)
    }


def verify_password(argos: Installation, name: str) -> None:
    said = argos.must("server", "user", "verify-password", *credentials(name))
    assert said == "The provided password is correct.\n"


def credentials(name: str) -> list[str]:
    return ["--config", "config.yaml", "--name", name, "--password", USERS[name]]


def measured_at(argos: Installation, result_id: int) -> datetime:
    """When a result was measured, as our pages tell it."""
    [value] = argos.select(
        "SELECT submitted_at FROM results WHERE id = :id", id=result_id
    )
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


def log_in(argos: Installation, name: str) -> dict[str, str]:
    """Log in over HTTP, as a program does."""
    with argos.start_server():
        form = {"username": name, "password": USERS[name]}
        answer = httpx2.post(f"{argos.url}/api/app/login", data=form)
    told: dict[str, str] = answer.json()
    return told


def test_a_database_of_0_10_3_is_switched_over_and_back(old, new, filled):
    filled_from, filled_to = filled
    tasks_before, results_before = tasks(old), result_ids(old)

    new.must("server", "migrate", "--config", "config.yaml")
    first_reload = changes(
        new.must("server", "reload-config", "--config", "config.yaml")
    )

    assert first_reload == {"deleted": 0, "added": 0, "updated": 0}
    assert tasks(new) == tasks_before
    assert result_ids(new) == results_before
    moments = [measured_at(new, result_id) for result_id in results_before]
    assert filled_from < min(moments) <= max(moments) < filled_to
    for name in USERS:
        verify_password(new, name)

    said = work_for_a_while(new, "new")

    assert "Alerting stub" not in said, "nothing has changed, and yet somebody was told"
    assert "Traceback" not in said
    assert log_in(new, "ann")["access"] == "granted"

    new.must("server", "migrate", "--config", "config.yaml", "--to", HEAD_OF_0_10_3)
    said = old.must("server", "reload-config", "--config", "config.yaml")

    assert changes(said) in ({}, {"deleted": 0, "added": 0, "updated": 0})
    assert tasks(old) == tasks_before
    assert set(result_ids(old)) > set(results_before)
    assert "Traceback" not in work_for_a_while(old, "old")
    verify_password(old, "bob")
    # Our hash of a password, made at a login, is one that 0.10.3 cannot read.
    old.must("server", "user", "change-password", *credentials("ann"))
    verify_password(old, "ann")


def test_tables_that_0_10_3_made_by_itself_are_taken_over(old, new):
    # Without `migrate`, 0.10.3 makes tables and notes no revision.
    old.must("server", "reload-config", "--config", "config.yaml")
    tasks_before = tasks(old)

    new.must("server", "migrate", "--config", "config.yaml")
    said = new.must("server", "reload-config", "--config", "config.yaml")

    assert changes(said) == {"deleted": 0, "added": 0, "updated": 0}
    assert tasks_before
    assert tasks(new) == tasks_before
