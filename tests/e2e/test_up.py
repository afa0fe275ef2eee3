"""`argos up` with a config, in an empty folder, to the first severities."""

import httpx2
import pytest

from tests.e2e.installation import Installation, make_config
from tests.e2e.nginx import Host, Nginx
from tests.e2e.programs import free_port
from tests.e2e.waiting import Stopwatch, wait_until

WEBSITES = 200
FIRST_SEVERITIES_WITHIN_S = 20
"""Lenient, for tests run beside each other; bench/agent/light.py measures it."""


@pytest.fixture
def argos(nginx_binary, tmp_path):
    host = Host("127.0.8.1", 'return 200 "Welcome";')
    with Nginx(nginx_binary, tmp_path / "nginx", [host], port=free_port()) as nginx:
        websites = [
            {
                "domain": f"http://127.0.8.1:{nginx.port}/site/{number}/",
                "paths": [{"path": "", "checks": [{"status-is": 200}]}],
            }
            for number in range(WEBSITES)
        ]
        config = make_config(
            websites,
            database_url="sqlite:///argos.db",
            general={"frequency": "1m", "unauthenticated_access": "dashboard"},
        )
        yield Installation(tmp_path / "argos", config)


def test_one_command_brings_a_fleet_to_its_first_severities(argos):
    arguments = ("up", "--config", "config.yaml", "--port", str(argos.port))
    since = Stopwatch()
    with argos.start(*arguments, log="up.log") as up:
        up.wait_for_line(rf"Argos is at {argos.url}/")
        up.wait_for_line(r"Log in as admin with the password \S+")
        wait_until(
            lambda: argos.severities()["ok"] == WEBSITES,
            within_s=FIRST_SEVERITIES_WITHIN_S * 2,
            what="a result of each website",
        )
        elapsed_s = since.elapsed_s
        dashboard = httpx2.get(f"{argos.url}/", headers={"Accept": "text/html"})
        code = up.stop()

    assert elapsed_s <= FIRST_SEVERITIES_WITHIN_S
    assert dashboard.status_code == 200
    assert str(WEBSITES) in dashboard.text
    assert code == 0
    assert "Traceback" not in up.output


def test_up_starts_again_where_it_was_stopped(argos):
    arguments = ("up", "--config", "config.yaml", "--port", str(argos.port))
    for start in ("first", "second"):
        with argos.start(*arguments, log=f"{start}.log") as up:
            wait_until(
                lambda: argos.severities()["ok"] == WEBSITES,
                within_s=FIRST_SEVERITIES_WITHIN_S * 2,
                what="a result of each website",
            )
            assert up.stop() == 0
        shows_password = "with the password" in up.output
        assert shows_password is (start == "first")
