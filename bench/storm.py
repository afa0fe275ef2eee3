"""How many messages a thousand websites make that break at once, and what they list.

    python -m bench.storm [--websites 1000] [--seconds 130]

One server on SQLite, one agent, and sinks for mail, Gotify and a webhook; the websites are
addresses of this machine where nobody listens. The database is filled, then the agent
starts, so that all of them are seen to be down for the first time.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.installation import Installation, make_config
from tests.e2e.programs import free_port
from tests.nemesis.checking import Journal
from tests.nemesis.world import make_channels, start_sinks


def main() -> None:
    """Let them break, count for a while, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--websites", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=130)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    ports = {"http": free_port(), "smtp": free_port()}
    installation = Installation(folder, _config(folder, chosen.websites, ports))
    installation.prepare()
    (folder / "mode").write_text("fine")
    journal = folder / "journal.jsonl"
    with (
        start_sinks(folder, journal, ports),
        installation.start_server(),
        installation.agent("anna"),
    ):
        time.sleep(chosen.seconds)
    print(f"{chosen.websites} websites down, {chosen.seconds:.0f} s, {folder}")
    found = Journal(journal)
    for target in sorted(found.targets):
        told = found.told(target)
        times = Counter(len(changes) for changes in told.values())
        print(
            f"{target}: {found.count_messages_to(target)} messages, "
            f"{len(told)} websites listed, so often each: {dict(times)}"
        )


def _config(folder: Path, count: int, ports: dict[str, int]) -> dict[str, Any]:
    everybody = ["hook", "crew", "phones"]
    alerts = dict.fromkeys(("ok", "warning", "critical", "unknown"), everybody)
    return make_config(
        [
            {
                "domain": f"http://127.1.{place // 250}.{place % 250 + 1}:9",
                "paths": [{"path": "/", "checks": [{"status-is": 200}]}],
            }
            for place in range(count)
        ],
        database_url=f"sqlite:///{folder}/argos.db",
        general={
            "frequency": "1m",
            "channels": make_channels(ports),
            "alerts": {**alerts, "no_agent": []},
        },
    )


if __name__ == "__main__":
    main()
