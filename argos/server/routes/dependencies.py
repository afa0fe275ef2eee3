"""What routes ask for in their signatures."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from argos.clock import Clock
from argos.schemas import Config
from argos.server.database import Database, Session
from argos.server.routes.waiting import Waiting
from argos.server.services.agent_access import AgentDesk
from argos.server.services.agent_watch import AgentWatch
from argos.server.services.config_watch import ConfigWatch
from argos.server.services.stats import Stats


@dataclass(frozen=True, slots=True)
class AppState:
    """All that the application holds; stands at `app.state.argos`."""

    database: Database
    clock: Clock
    watch: ConfigWatch
    desk: AgentDesk = field(default_factory=AgentDesk)
    agent_watch: AgentWatch = field(default_factory=AgentWatch)
    waiting: Waiting = field(default_factory=Waiting)
    stats: Stats = field(default_factory=Stats)

    @property
    def config(self) -> Config:
        """The config that is in force now."""
        return self.watch.config


def get_app_state(request: Request) -> AppState:
    """The application's state."""
    return cast(AppState, request.app.state.argos)


App = Annotated[AppState, Depends(get_app_state)]


def _reading(app: App) -> Iterator[Session]:
    with app.database.viewing() as session:
        yield session


def _now(app: App) -> datetime:
    return app.clock.utcnow()


def _config(app: App) -> Config:
    return app.config


ReadSession = Annotated[Session, Depends(_reading, scope="function")]
"""For routes that only read, within the time that pages may take."""
Now = Annotated[datetime, Depends(_now)]
AppConfig = Annotated[Config, Depends(_config)]
