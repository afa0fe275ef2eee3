"""The API of silences: list them, make one, end one; by a session's cookie."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from argos.core.matching import Matcher
from argos.errors import SilenceRefused
from argos.server.models import SilenceKind
from argos.server.queries.silences import NewSilence, SilenceRow
from argos.server.routes.access import Admin, OwnSite, Viewer, who
from argos.server.routes.dependencies import App, Now, ReadSession
from argos.server.services import peace

router = APIRouter(prefix="/api/app/silences", tags=["silences"])

MAX_ID = 2**63 - 1
Text = Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")]
Texts = Annotated[list[Text], Field(max_length=100)]


class Match(BaseModel):
    """What is meant: each kind that is given must hold, one text of it is enough."""

    website: Texts = []
    url: Texts = []
    group: Texts = []
    tag: Texts = []
    check: Texts = []

    @property
    def matcher(self) -> Matcher:
        return Matcher(
            tuple(self.website), tuple(self.url), tuple(self.group), tuple(self.tag),
            tuple(self.check),
        )  # fmt: skip


class SilenceRequest(BaseModel):
    """A silence to be made."""

    match: Match
    kind: SilenceKind = SilenceKind.SILENCE
    starts_at: datetime | None = None
    """With its offset; left out: now."""
    minutes: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
    """How long it lasts."""
    comment: Text = ""
    broad: bool = False
    """Even if it is more than half of all websites."""


class SilenceAnswer(BaseModel):
    """A silence as it stands."""

    id: int
    kind: SilenceKind
    match: Match
    starts_at: datetime
    ends_at: datetime
    comment: str
    created_at: datetime
    created_by: str
    ended_by: str | None

    @classmethod
    def of(cls, row: SilenceRow) -> "SilenceAnswer":
        values = row._asdict()
        matcher = values.pop("matcher")
        match = {name: list(getattr(matcher, name)) for name in Match.model_fields}
        return cls(match=Match(**match), **values)


class MadeAnswer(BaseModel):
    """The number of the silence that was made."""

    id: int


class EndedAnswer(BaseModel):
    """The silence is over."""

    id: int


@router.get("")
def read_silences(
    _viewer: Viewer, session: ReadSession, now: Now
) -> list[SilenceAnswer]:
    """The silences that hold, or will."""
    return [SilenceAnswer.of(row) for row in peace.list_silences(session, now=now)]


@router.post("", status_code=201)
def make_silence(
    admin: Admin, _site: OwnSite, app: App, now: Now, wanted: SilenceRequest
) -> MadeAnswer:
    """Keep notices back for a while."""
    starts_at = wanted.starts_at or now
    if starts_at.tzinfo is None:
        raise HTTPException(422, "starts_at: it has no offset, such as +01:00.")
    try:
        ends_at = starts_at + timedelta(minutes=wanted.minutes)
    except OverflowError as err:
        raise HTTPException(422, "starts_at: it is too far away.") from err
    new = NewSilence(
        kind=wanted.kind,
        matcher=wanted.match.matcher,
        starts_at=starts_at,
        ends_at=ends_at,
        comment=wanted.comment,
        created_by=who(admin),
    )
    try:
        id_ = peace.add_silence(app.database, new, now=now, is_broad_ok=wanted.broad)
    except SilenceRefused as err:
        raise HTTPException(422, str(err)) from err
    return MadeAnswer(id=id_)


@router.post("/{silence_id}/end")
def end_silence(
    admin: Admin,
    _site: OwnSite,
    app: App,
    now: Now,
    silence_id: Annotated[int, Path(ge=0, le=MAX_ID)],
) -> EndedAnswer:
    """End a silence now; people are told of what holds, if it is news to them."""
    if not peace.end_silence(app.database, id_=silence_id, by=who(admin), now=now):
        raise HTTPException(404, "There is no silence of this number to end.")
    return EndedAnswer(id=silence_id)
