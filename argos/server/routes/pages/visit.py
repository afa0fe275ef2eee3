"""What most pages need of a request, in one piece; and parameters that many take."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Request

from argos.schemas import Config
from argos.server.database import Session
from argos.server.routes.dependencies import AppConfig, Now, ReadSession
from argos.server.routes.templating import Links

MAX_ID = 2**63 - 1
"""More no database can look up; to the visitor such a page does not exist."""

RowId = Annotated[int, Path(ge=0, le=MAX_ID)]


@dataclass(frozen=True, slots=True)
class PageVisit:
    """A request for a page: by which config, with which data, at what time."""

    request: Request
    session: Session
    now: datetime
    config: Config

    @property
    def link(self) -> Links:
        return Links(self.request)


def _visit(
    request: Request, session: ReadSession, now: Now, config: AppConfig
) -> PageVisit:
    return PageVisit(request, session, now, config)


Visit = Annotated[PageVisit, Depends(_visit)]
