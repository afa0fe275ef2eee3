"""F-28: a lone agent whose network is gone blames itself, and no website."""

from pathlib import Path

import pytest

from tests.e2e.installation import Installation, make_config
from tests.e2e.programs import free_port
from tests.e2e.waiting import wait_until
from tests.e2e.zoo import Habit, Zoo

pytestmark = pytest.mark.timeout(120)

WEBSITES = [f"127.0.7.{number}" for number in range(1, 4)]
REFERENCES = ["127.0.7.101", "127.0.7.102"]


def test_a_lone_agent_that_is_cut_off_blames_no_website(tmp_path: Path) -> None:
    habits = dict.fromkeys([*WEBSITES, *REFERENCES], Habit.FINE)
    with Zoo(free_port(), habits) as zoo:
        sites = zoo.sites
        urls = {address: f"http://{address}:{zoo.port}" for address in habits}
        paths = [{"path": "/", "checks": [{"status-is": 200}]}]
        websites = [{"domain": urls[each], "paths": paths} for each in WEBSITES]
        config = make_config(websites, database_url=f"sqlite:///{tmp_path}/argos.db")
        argos = Installation(tmp_path / "argos", config)
        argos.prepare()
        options = [word for each in REFERENCES for word in ("--reference", urls[each])]

        def wait(**counts: int) -> None:
            wait_until(
                lambda: {k: n for k, n in argos.severities().items() if n} == counts,
                within_s=30,
                what=f"{counts}",
            )

        with argos.start_server() as server, argos.agent("lone", *options):
            wait(ok=3)
            for site in sites.values():
                site.habit = Habit.EMPTY
            wait(unknown=3)
            server.wait_for_line("Agent lone seems to be cut off")
            assert argos.alerts() == []

            for site in sites.values():
                site.habit = Habit.FINE
            wait(ok=3)
            server.wait_for_line("Agent lone can be believed again")
            assert argos.alerts() == []

            # A website that fails alone is another matter.
            sites[WEBSITES[0]].habit = Habit.EMPTY
            wait(ok=2, critical=1)
            wait_until(argos.alerts, within_s=20, what="a notice")
            assert [alert.severity for alert in argos.alerts()] == ["critical"]
            # It is logged, and told once: to `local`, which is the log, too.
            assert server.output.count("seems to be cut off") == 2
