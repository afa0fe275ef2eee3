"""What tests of the agent need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from argos.agent.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool")
    spool.open()
    yield spool
    spool.close()
