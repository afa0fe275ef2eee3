"""Incidents for people's own programs: the list, and who takes care of which."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from argos.core.cause import Common
from argos.server.database import Session
from argos.server.queries import gathering, incident_groups, incident_list, knowing
from argos.server.queries.incident_list import IncidentRow, IncidentSearch, Place
from argos.server.routes.access import Admin, OwnSite, Viewer
from argos.server.routes.dependencies import App, ReadSession
from argos.server.routes.pages.visit import MAX_ID, RowId
from argos.server.services import acknowledgement
from argos.server.services.acknowledgement import Word

router = APIRouter(prefix="/api/app", tags=["incidents"])

MAX_PAGE_SIZE = 500
NO_INCIDENT = "Argos has no incident of this number."
STATES = {"open": True, "closed": False, "all": None}


class IncidentAnswer(BaseModel):
    """An incident, and the one that speaks for it."""

    id: int
    task: int
    website: str
    check: str
    ip_version: str
    severity: str
    opened_at: datetime
    closed_at: datetime | None
    parent: int | None
    """The incident that speaks for it."""
    cause: str | None
    """What both have in common."""
    cause_name: str | None
    """Which website, certificate, address or agent that is."""
    cause_failure: str | None
    """The kind of failure that both have."""
    child_count: int
    """How many incidents it speaks for, beside itself."""
    open_child_count: int
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    acknowledged_until: datetime | None


class CommentAnswer(BaseModel):
    """What somebody wrote."""

    at: datetime
    author: str
    text: str


class StoryAnswer(IncidentAnswer):
    """An incident with all that belongs to it."""

    children: list[IncidentAnswer]
    """The first of those that it speaks for; of all, the list has pages (`parent`)."""
    comments: list[CommentAnswer]


class Acknowledging(BaseModel):
    """Taking care of an incident."""

    minutes: Annotated[float, Field(gt=0, le=525_600)] | None = None
    """For so long; absent: until it ends."""
    comment: Annotated[str, Field(max_length=4_000)] = ""


class Commenting(BaseModel):
    """Writing on an incident."""

    text: Annotated[str, Field(min_length=1, max_length=4_000)]


class CountAnswer(BaseModel):
    """Of how many open incidents that holds now."""

    count: int


@router.get("/incidents")
def list_incidents(
    _viewer: Viewer,
    session: ReadSession,
    state: Literal["open", "closed", "all"] = "open",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 50,
    before: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
    parent: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
    gathered: bool = False,
) -> list[IncidentAnswer]:
    """Incidents, newest first; the next page is what comes after the last `id`, `before`.

    With `parent` those that an incident speaks for; with `gathered` only those that
    speak for themselves, open as long as any that they speak for is. A page that is
    not full is the last one.
    """
    place = None if before is None else _place_of(session, before)
    search = IncidentSearch(STATES[state], place, limit, parent_id=parent)
    if gathered and parent is None:
        found = incident_groups.list_leaders(session, search)
    else:
        found = incident_list.list_incidents(session, search)
    return _answers(session, found[:limit])


def _place_of(session: Session, incident_id: int) -> Place:
    place = incident_list.get_place(session, incident_id=incident_id)
    if place is None:
        raise HTTPException(404, NO_INCIDENT)
    return place


@router.get("/incidents/{incident_id}")
def read_incident(
    _viewer: Viewer, session: ReadSession, incident_id: RowId
) -> StoryAnswer:
    """One incident, those that it speaks for, and what people wrote."""
    row = incident_list.get_incident(session, incident_id=incident_id)
    if row is None:
        raise HTTPException(404, NO_INCIDENT)
    children = incident_groups.list_children(
        session, parent_id=incident_id, limit=MAX_PAGE_SIZE
    )[:MAX_PAGE_SIZE]
    answer, *children_answers = _answers(session, [row, *children])
    comments = knowing.list_comments(session, incident_id=incident_id)
    return StoryAnswer(
        **answer.model_dump(),
        children=children_answers,
        comments=[CommentAnswer(**each._asdict()) for each in comments],
    )


@router.post("/incidents/{incident_id}/acknowledge")
def acknowledge_incident(
    admin: Admin, _site: OwnSite, app: App, incident_id: RowId, wish: Acknowledging
) -> CountAnswer:
    """Take care of an incident, and of all that it belongs together with."""
    count = acknowledgement.acknowledge(
        app.database,
        app.clock,
        incident_id=incident_id,
        word=Word(admin.name, wish.comment),
        lasting=None if wish.minutes is None else timedelta(minutes=wish.minutes),
    )
    if count is None:
        raise HTTPException(404, NO_INCIDENT)
    if not count:
        raise HTTPException(409, "The incident is over.")
    return CountAnswer(count=count)


@router.post("/incidents/{incident_id}/withdraw")
def withdraw_acknowledgement(
    admin: Admin, _site: OwnSite, app: App, incident_id: RowId
) -> CountAnswer:
    """Take it back that somebody takes care of an incident."""
    count = acknowledgement.withdraw(
        app.database, app.clock, incident_id=incident_id, word=Word(admin.name)
    )
    if count is None:
        raise HTTPException(404, NO_INCIDENT)
    if not count:
        raise HTTPException(409, "Nobody takes care of it, or it is over.")
    return CountAnswer(count=count)


@router.post("/incidents/{incident_id}/comments", status_code=201)
def comment_incident(
    admin: Admin, _site: OwnSite, app: App, incident_id: RowId, wish: Commenting
) -> CommentAnswer:
    """Write on an incident."""
    word = Word(admin.name, wish.text)
    if not acknowledgement.comment(
        app.database, app.clock, incident_id=incident_id, word=word
    ):
        raise HTTPException(404, NO_INCIDENT)
    author, text = word.shown
    return CommentAnswer(at=app.clock.utcnow(), author=author, text=text)


def _answers(session: Session, rows: Sequence[IncidentRow]) -> list[IncidentAnswer]:
    counts = gathering.count_members(session, leader_ids={row.id for row in rows})
    parents = {row.parent_id for row in rows if row.parent_id is not None}
    hosts = incident_list.list_hosts(session, incident_ids=parents)
    return [
        _answer(row, row.common_with(hosts.get(row.parent_id or 0)), counts.get(row.id))
        for row in rows
    ]


def _answer(
    row: IncidentRow, common: Common | None, counts: tuple[int, int] | None
) -> IncidentAnswer:
    """An incident; `counts` are all that it speaks for, itself included, and the open."""
    members, still_open = counts or (1, int(row.closed_at is None))
    return IncidentAnswer(
        id=row.id,
        task=row.task_id,
        website=row.host,
        check=row.check,
        ip_version=row.ip_version,
        severity=row.severity,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        parent=row.parent_id,
        cause=row.cause,
        cause_name=None if common is None else common.name,
        cause_failure=None if common is None else common.failure,
        child_count=members - 1,
        open_child_count=still_open - (row.closed_at is None),
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        acknowledged_until=row.acknowledged_until,
    )
