"""Everything is killed, stopped, slowed and cut at random; nothing is lost or doubled."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.nemesis.run import Verdict, run
from tests.postgresql import find_binaries

SEED = int(os.environ.get("ARGOS_NEMESIS_SEED", "20261125"))


@pytest.mark.timeout(400)
@pytest.mark.skipif(find_binaries() is None, reason="no PostgreSQL in a wheel here")
def test_i24_i25_i29_whatever_crashes_everybody_hears_of_everything_once(
    tmp_path: Path,
) -> None:
    """The folder with all logs is kept by pytest when this fails."""

    def experiment(with_postgres: bool) -> Verdict:
        folder = tmp_path / ("postgresql" if with_postgres else "sqlite")
        folder.mkdir()
        return run(
            folder,
            seed=SEED,
            pages=60,
            changes=300,
            with_postgres=with_postgres,
            limit_s=30,
            pause_s=3,
        )

    with ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(experiment, (False, True)))

    for verdict in verdicts:
        assert verdict.faults == [], f"seed {SEED}: {verdict}"
        assert verdict.changes > 20
        assert verdict.crashes > 2
