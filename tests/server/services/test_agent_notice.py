"""Notices about agents in quiet hours: only what is critical comes through."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from argos.channels import NoticeKind
from argos.core.severity import Severity
from argos.language import Phrase
from argos.server.models import Delivery, DeliveryState
from argos.server.services.agent_notice import let_notices_go, tell_of_agents
from argos.server.services.notice import Draft
from argos.server.services.upkeep import Duty, Means, Upkeep
from argos.windows import DailyHours
from tests.server.services.desk import Clock

GONE, BACK = NoticeKind.AGENT_GONE, NoticeKind.AGENT_RETURNED
NO_AGENT, AGENTS = NoticeKind.NO_AGENT, NoticeKind.AGENT_BACK
SEVERITY = {GONE: Severity.WARNING, NO_AGENT: Severity.CRITICAL}


class Night:
    """A server with quiet hours from 22 to 7, and what it has to say of agents."""

    def __init__(self, database: Any, config: Any) -> None:
        hours = DailyHours(time(22), time(7), UTC)
        general = config.general.model_copy(update={"quiet_hours": hours})
        self.config = config.model_copy(update={"general": general})
        self.database = database
        self.clock = Clock(datetime(2026, 3, 14, 21, tzinfo=UTC))

    def tell(self, kind: NoticeKind, hour: int, *, agent: str = "anna") -> None:
        self._go_on(hour)
        draft = Draft(
            kind, SEVERITY.get(kind, Severity.OK), self.clock.now, Phrase("It is so")
        )
        with self.database.transaction() as session:
            tell_of_agents(
                session, draft, recipients=["mail"], config=self.config, agent=agent
            )

    def keep_house(self, hour: int) -> None:
        self._go_on(hour)
        means = Means(
            database=self.database,
            clock=self.clock,
            get_config=lambda: self.config,
            holder="here",
        )
        upkeep = Upkeep(means, [Duty("held_notices", timedelta(), let_notices_go)])
        upkeep.enter()
        upkeep.do_due()

    def _go_on(self, hour: int) -> None:
        self.clock.now += timedelta(hours=(hour - self.clock.now.hour) % 24, minutes=1)

    @property
    def told(self) -> list[str]:
        with self.database.reading() as session:
            rows = session.scalars(select(Delivery).order_by(Delivery.id))
            return [
                row.notice["kind"]
                for row in rows
                if row.notice and row.state is DeliveryState.WAITING
            ]


@pytest.fixture
def night(database, config) -> Night:
    return Night(database, config)


def test_an_agent_that_goes_at_night_is_told_in_the_morning_once(night):
    for hour in (23, 0, 1):
        night.tell(GONE, hour)
    night.keep_house(6)
    assert night.told == []

    night.keep_house(7)

    assert night.told == [GONE]


def test_an_agent_that_goes_and_returns_at_night_is_told_of_to_nobody(night):
    night.tell(GONE, 23)
    night.tell(GONE, 0, agent="bela")
    night.tell(BACK, 1)
    night.keep_house(8)

    assert night.told == [GONE]
    night.tell(BACK, 9, agent="bela")
    assert night.told == [GONE, BACK]


def test_the_return_of_an_agent_waits_for_the_morning_of_who_knows(night):
    night.tell(GONE, 21)
    night.tell(GONE, 22)
    night.tell(BACK, 23)
    assert night.told == [GONE]

    night.keep_house(8)

    assert night.told == [GONE, BACK]


def test_an_agent_that_returned_at_night_and_is_gone_again_is_still_gone(night):
    night.tell(GONE, 21)
    night.tell(BACK, 23)
    night.tell(GONE, 0)
    night.keep_house(8)

    assert night.told == [GONE]


def test_what_is_critical_comes_through_and_so_does_its_end(night):
    night.tell(NO_AGENT, 23, agent="")
    night.tell(NO_AGENT, 0, agent="")
    night.tell(AGENTS, 1, agent="")

    assert night.told == [NO_AGENT, NO_AGENT, AGENTS]
