"""Leases, reports, reloads, housework and messages in any order, broken off anywhere."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from argos.errors import DatabaseError
from argos.server.database import Database
from argos.server.models import Base
from argos.server.settings import LoadedConfig
from tests.server.store.audit import faults
from tests.server.store.conftest import START
from tests.server.store.interruptions import Interrupter, Kind
from tests.server.store.variants import make_variants
from tests.server.store.world import (
    Player,
    SharedClock,
    World,
)

STEPS = 25
AGENTS = st.sampled_from(["anna", "bert"])
DEEDS = st.sampled_from([
    "lease",
    "report",
    "report",
    "report_again",
    "report_unanswered",
    "hand_back",
    "reload",
    "keep_house",
    "dispatch",
])
INTERRUPTIONS = st.tuples(st.sampled_from(Kind), st.integers(1, 12))


class StoreMachine(RuleBasedStateMachine):
    """Two agents, each with a server of its own, on one database."""

    database: Database
    interrupter: Interrupter
    variants: list[LoadedConfig]

    @initialize(seed=st.integers(0, 9))
    def begin(self, seed: int) -> None:
        empty(self.database)
        self.world = World(self.database, SharedClock(START), self.variants)
        self.world.begin()
        self.players = {
            name: Player(self.world, name, seed=seed + place)
            for place, name in enumerate(("anna", "bert"))
        }

    @rule(agent=AGENTS, deed=DEEDS)
    def do(self, agent: str, deed: str) -> None:
        getattr(self.players[agent], deed)()

    @rule(agent=AGENTS, deed=DEEDS, interruption=INTERRUPTIONS)
    def do_and_be_broken_off(
        self, agent: str, deed: str, interruption: tuple[Kind, int]
    ) -> None:
        kind, place = interruption
        with self.interrupter.at(kind, place):
            try:
                getattr(self.players[agent], deed)()
            except DatabaseError:
                return

    @rule(seconds=st.sampled_from([1, 50, 130, 300]))
    def pass_time(self, seconds: int) -> None:
        self.world.clock.move(seconds=seconds)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()
            assert faults(self.world) == []


def empty(database: Database) -> None:
    """Leave nothing of what was there."""
    with database.transaction() as session:
        session.execute(text("DROP TABLE IF EXISTS ledger"))
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
        if database.is_sqlite:
            found = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            names = [
                name
                for name in session.scalars(text(found)).all()
                if name.startswith("ledger")
            ]
            for name in names:
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            for function in ("note_schedule", "note_claim"):
                session.execute(text(f"DROP FUNCTION IF EXISTS {function} CASCADE"))


@pytest.fixture
def machine(database: Database, migrated_url: str, request: Any, tmp_path: Path) -> Any:
    server: psycopg.Connection | None = (
        None if database.is_sqlite else request.getfixturevalue("postgresql_admin")
    )

    class Machine(StoreMachine):
        pass

    Machine.database = database
    Machine.interrupter = Interrupter(database, server)
    Machine.variants = make_variants(tmp_path, migrated_url)
    return Machine


@pytest.mark.timeout(300)
def test_the_story_is_true_in_any_order_and_wherever_it_is_broken_off(
    machine: Any, database: Database
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20 if database.is_sqlite else 8,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
