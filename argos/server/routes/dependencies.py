"""What routes ask for in their signatures."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from argos.clock import Clock
from argos.protocol import StatsAnswer
from argos.schemas import Config
from argos.server.database import Database, Session
from argos.server.queries import overview
from argos.server.queries.overview import FleetCounts
from argos.server.routes.waiting import Waiting
from argos.server.services.agent_access import AgentDesk
from argos.server.services.agent_watch import AgentWatch
from argos.server.services.backlog import Backlog
from argos.server.services.config_watch import ConfigWatch
from argos.server.services.stats import Kept

HOSTS_STALE_S = 300.0


@dataclass(frozen=True, slots=True)
class AppState:
    """All that the application holds; stands at `app.state.argos`."""

    database: Database
    clock: Clock
    watch: ConfigWatch
    desk: AgentDesk = field(default_factory=AgentDesk)
    agent_watch: AgentWatch = field(default_factory=AgentWatch)
    waiting: Waiting = field(default_factory=Waiting)
    backlog: Backlog = field(default_factory=Backlog)
    stats: Kept[StatsAnswer] = field(default_factory=Kept)
    fleet: Kept[FleetCounts] = field(default_factory=Kept)
    waiting_tasks: Kept[int] = field(default_factory=Kept)
    open_incidents: Kept[tuple[int, int | None]] = field(default_factory=Kept)
    hosts: Kept[bytes] = field(default_factory=lambda: Kept(stale_s=HOSTS_STALE_S))
    """The list of all websites, as JSON."""
    path_patterns: dict[str, str] = field(default_factory=dict)
    """By route: its path, with its parameters in braces."""

    @property
    def config(self) -> Config:
        """The config that is in force now."""
        return self.watch.config


def get_app_state(request: Request) -> AppState:
    """The application's state."""
    return cast(AppState, request.app.state.argos)


async def _app_state(request: Request) -> AppState:  # noqa: RUF029  # a plain one would wait for a thread
    return get_app_state(request)


App = Annotated[AppState, Depends(_app_state)]


def _reading(app: App) -> Iterator[Session]:
    with app.database.viewing() as session:
        yield session


def _now(app: App) -> datetime:
    return app.clock.utcnow()


def _config(app: App) -> Config:
    return app.config


ReadSession = Annotated[Session, Depends(_reading, scope="function")]
"""For routes that only read, within the time that pages may take."""


def _fleet(app: App, session: ReadSession) -> FleetCounts:
    return app.fleet.get(lambda: overview.count_fleet(session), app.clock)


Fleet = Annotated[FleetCounts, Depends(_fleet)]
"""The dashboard's counts, kept while they cost much."""


def _waiting_tasks(app: App, session: ReadSession) -> int:
    now = app.clock.utcnow()
    return app.waiting_tasks.get(
        lambda: overview.count_waiting_tasks(session, now=now), app.clock
    )


WaitingTasks = Annotated[int, Depends(_waiting_tasks)]
"""How much is due, kept likewise."""
Now = Annotated[datetime, Depends(_now)]
AppConfig = Annotated[Config, Depends(_config)]
