"""Notices for people's own programs: the list, what was given up, the channels."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel

from argos.channels import list_setups, recipient_name
from argos.channels.webhook import schema
from argos.server.queries import delivery_list
from argos.server.queries.delivery_list import DeliveryFilter, DeliveryLine
from argos.server.routes.access import Admin, OwnSite, Viewer
from argos.server.routes.dependencies import App, AppConfig, ReadSession
from argos.server.routes.pages.visit import MAX_ID, RowId
from argos.server.services import undelivered
from argos.server.services.channel_trial import try_channel

router = APIRouter(prefix="/api/app", tags=["notices"])

MAX_PAGE_SIZE = 500


class NoticeAnswer(BaseModel):
    """One notice to one recipient."""

    id: int
    recipient: str
    state: str
    about: str
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None
    attempts: int
    last_error: str | None
    held_by: str | None
    """What keeps it back, or did: a silence, maintenance, quiet hours, an incident."""
    message: str | None
    incident: int | None


class NoticesAnswer(BaseModel):
    """Notices, newest first."""

    notices: list[NoticeAnswer]
    dead: int
    """How many were given up, on this page or not."""
    next_before: int | None
    """Ask with this as `before` for the next page."""


class CountAnswer(BaseModel):
    """How many notices were dealt with."""

    count: int


class ChannelAnswer(BaseModel):
    """A channel of the config, and how it does."""

    name: str
    type: str
    recipients: int
    failing: int
    last_error: str | None
    sent_at: datetime | None


class TrialAnswer(BaseModel):
    """How sending a test to one recipient went; no error: it was taken."""

    recipient: str
    error: str | None


@router.get("/notices")
def list_notices(
    _viewer: Viewer,
    session: ReadSession,
    state: DeliveryFilter = DeliveryFilter.ALL,
    before: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 50,
) -> NoticesAnswer:
    """Who was told what, and what could not be told."""
    found = delivery_list.list_deliveries(
        session, shown=state, before=before, limit=limit
    )
    shown = found[:limit]
    return NoticesAnswer(
        notices=[_answer(line) for line in shown],
        dead=delivery_list.count_dead(session),
        next_before=shown[-1].id if len(found) > limit else None,
    )


def _answer(line: DeliveryLine) -> NoticeAnswer:
    return NoticeAnswer(
        id=line.id,
        recipient=line.recipient,
        state=undelivered.describe_state(line),
        about=undelivered.subject_of(line),
        created_at=line.created_at,
        due_at=line.due_at,
        sent_at=line.sent_at,
        attempts=line.attempts,
        last_error=line.last_error,
        held_by=line.held_by,
        message=line.message,
        incident=line.incident_id,
    )


@router.post("/notices/{delivery_id}/retry")
def retry_notice(
    _admin: Admin, _site: OwnSite, app: App, delivery_id: RowId
) -> CountAnswer:
    """Try a notice again that was given up."""
    return _count(undelivered.retry(app.database, app.clock, ids=[delivery_id]))


@router.post("/notices/{delivery_id}/drop")
def drop_notice(
    _admin: Admin, _site: OwnSite, app: App, delivery_id: RowId
) -> CountAnswer:
    """Take a notice off the list that was given up."""
    return _count(undelivered.drop(app.database, app.clock, ids=[delivery_id]))


def _count(count: int) -> CountAnswer:
    if not count:
        raise HTTPException(404, "No notice of this number was given up.")
    return CountAnswer(count=count)


@router.get("/channels")
def list_channels(
    _viewer: Viewer, session: ReadSession, config: AppConfig
) -> list[ChannelAnswer]:
    """The channels of the config, and how each does."""
    return [
        ChannelAnswer(
            name=channel.name,
            type=channel.type,
            recipients=channel.target_count,
            failing=channel.failing_count,
            last_error=channel.last_error,
            sent_at=channel.sent_at,
        )
        for channel in undelivered.list_channels(session, config)
    ]


@router.post("/channels/{name}/test")
def try_one_channel(
    _admin: Admin, _site: OwnSite, app: App, config: AppConfig, name: str
) -> list[TrialAnswer]:
    """Send a test notice over a channel."""
    if name not in list_setups(config.general):
        raise HTTPException(404, "The config has no channel of this name.")
    return [
        TrialAnswer(recipient=recipient_name(trial.recipient), error=trial.error)
        for trial in try_channel(config, name, clock=app.clock)
    ]


@router.get("/webhook-schema")
def read_webhook_schema(_viewer: Viewer) -> dict[str, Any]:
    """The JSON schema of what webhooks post."""
    return dict(schema())
