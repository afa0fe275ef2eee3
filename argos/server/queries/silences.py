"""Silences: made, listed, ended; and what their matchers ask of tasks."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from argos.core.matching import Matcher, Subject
from argos.server.models import Silence, SilenceKind, Task, Website
from argos.server.queries.bulk import driver_moment, id_in, moment_reader, run


class SilenceRow(NamedTuple):
    """A silence as it stands."""

    id: int
    kind: SilenceKind
    matcher: Matcher
    starts_at: datetime
    ends_at: datetime
    comment: str
    created_at: datetime
    created_by: str
    ended_by: str | None


class NewSilence(NamedTuple):
    """A silence to be stored."""

    kind: SilenceKind
    matcher: Matcher
    starts_at: datetime
    ends_at: datetime
    comment: str
    created_by: str


# Every report asks, and there are few: by far the most of it was to put the query together.
_LIST = f"""
SELECT {", ".join(SilenceRow._fields)} FROM silences
WHERE ends_at > :ending_after ORDER BY ends_at DESC, id DESC LIMIT :limit
"""  # noqa: S608  # names of columns
_SUBJECT = [
    Task.__table__.c.domain,
    Task.__table__.c.url,
    Task.__table__.c["check"],
    Website.__table__.c.name,
    Website.__table__.c.group_name,
    Website.__table__.c.tags,
]


def add_silence(session: Session, new: NewSilence, *, now: datetime) -> int:
    """Store a silence; return its number."""
    values = {
        **new._asdict(),
        "matcher": _encode_matcher(new.matcher),
        "created_at": now,
    }
    statement = insert(Silence).values(values).returning(Silence.id)
    return int(session.execute(statement).scalar_one())


def list_silences(
    session: Session, *, ending_after: datetime, limit: int = 500
) -> list[SilenceRow]:
    """Silences that are not over at a moment, the last to end first."""
    to_moment = moment_reader(session)
    moment = driver_moment(session, ending_after)
    rows = run(session, _LIST, {"ending_after": moment, "limit": limit})
    return [_silence_row(row, to_moment) for row in rows]


def end_silence(session: Session, *, id_: int, by: str, now: datetime) -> bool:
    """End a silence early; False when it is over, or was never there."""
    changed = session.execute(
        update(Silence)
        .where(Silence.id == id_, Silence.ends_at > now)
        .values(ends_at=now, ended_by=by)
        .returning(Silence.id)
    )
    return changed.first() is not None


def list_subjects(
    session: Session, *, task_ids: Collection[int]
) -> Mapping[int, Subject]:
    """What rules can ask of some tasks."""
    rows = session.execute(
        select(Task.__table__.c.id, *_SUBJECT)
        .outerjoin_from(Task, Website, Website.id == Task.website_id)
        .where(id_in(session, Task.id, task_ids))
    )
    return {
        row.id: Subject(
            domain=row.domain,
            url=row.url,
            check=row.check,
            website=row.name,
            group=row.group_name,
            tags=frozenset(row.tags or ()),
        )
        for row in rows
    }


def iterate_websites(session: Session) -> Iterator[Subject]:
    """All websites that are watched: their front pages, without a check."""
    columns = [Website.domain, Website.name, Website.group_name, Website.tags]
    rows = session.execute(
        select(*columns).where(Website.archived_at.is_(None))
    ).yield_per(1_000)
    for row in rows:
        tags = frozenset(row.tags or ())
        url = f"{row.domain.rstrip('/')}/"
        yield Subject(row.domain, url, "", row.name, row.group_name, tags)


def _silence_row(row: Sequence[Any], to_moment: Callable[[Any], Any]) -> SilenceRow:
    id_, kind, matcher, starts_at, ends_at, comment, created_at, *names = row
    if isinstance(matcher, str):  # a document is a text on SQLite
        matcher = json.loads(matcher)
    return SilenceRow(
        id_,
        SilenceKind(kind),
        Matcher(**matcher),
        to_moment(starts_at),
        to_moment(ends_at),
        comment,
        to_moment(created_at),
        *names,
    )


def _encode_matcher(matcher: Matcher) -> dict[str, list[str]]:
    return {
        name: list(values)
        for name in Matcher.__dataclass_fields__
        if (values := getattr(matcher, name))
    }
