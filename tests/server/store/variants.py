"""Configs of which now one, now another is in force."""

import random
from pathlib import Path

from argos.server.settings import LoadedConfig
from tests.server.factories import make_config

RETRIES = 1
RECIPIENTS = ("apprise:team", "local")
STEADY = ("site0", "site1", "site2")
"""Websites that no config leaves out."""


def make_variants(folder: Path, url: str) -> list[LoadedConfig]:
    """Configs that differ in websites, checks and frequencies."""
    rng = random.Random(5)
    variants = []
    for number in range(6):
        place = folder / f"variant{number}"
        place.mkdir()
        optional = [f"site{n}" for n in range(3, 6) if rng.random() < 0.6]
        variants.append(
            make_config(
                place,
                url=url,
                general__retry_before_notification=RETRIES,
                general__confirm=False,
                general__ipv6=False,
                general__apprise={"team": ["json://127.0.0.1/"]},
                general__alerts={
                    severity: list(RECIPIENTS)
                    for severity in ("ok", "warning", "critical", "unknown")
                }
                | {"no_agent": ["local"]},
                recurring_tasks__max_results_age="1h",
                websites=[
                    {
                        "domain": f"https://{name}.example",
                        "frequency": rng.choice(["1m", "2m"]),
                        "paths": [
                            {
                                "path": "/",
                                "checks": [{"status-is": 200}]
                                + [{"body-contains": "x"}] * rng.choice([0, 1]),
                            }
                        ],
                    }
                    for name in (*STEADY, *optional)
                ],
            )
        )
    return variants
