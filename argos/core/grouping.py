"""What goes into one message: single notices in calm times, digests in storms.

What comes in a calm time is told at once, and so is a second notice ten seconds later.
From the third message within two minutes on, everything that comes within a minute is
told together, and so it is whenever there is more at once. Nobody gets more than three
messages in any two minutes, whether a thousand websites break at once or one after the
other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_WINDOW = timedelta(seconds=10)
NEXT_WINDOW = timedelta(seconds=60)
SPAN = timedelta(minutes=2)
"""What was told within it counts."""
MAX_QUICK = 2
"""So many messages within the span are told without waiting for others."""
MAX_SINGLE = 5
"""When more than so many notices come at once, none of them is told alone."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that waits to be told to somebody."""

    id: int
    message_id: str
    task_id: int | None
    website: str | None
    """What it is about; None for what is about no website."""
    leader_id: int | None = None
    """The incident that speaks for its own, where such with one cause are gathered."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What a recipient heard of late."""

    told_at: tuple[datetime, ...] = ()
    """When each message of the last two minutes was decided, oldest first."""
    was_digest: bool = False
    """Whether the last message told of everything together."""


@dataclass(frozen=True, slots=True)
class Flush:
    """What to tell now."""

    messages: tuple[tuple[int, ...], ...]
    """The ids that go into each message."""
    rhythm: Rhythm
    next_at: datetime
    """When the next window ends."""


def decide(
    pending: Sequence[Waiting],
    rhythm: Rhythm,
    *,
    now: datetime,
    is_patient: bool = True,
) -> Flush | None:
    """What of all that waits is to be told now; None: it waits for its window's end.

    Who is not patient is told all there is, at once.
    """
    if pending and not is_patient:
        return Flush((tuple(one.id for one in pending),), rhythm, now)
    recent = _recent(rhythm, now=now)
    if not pending or now < _window_end(recent, rhythm.was_digest, now=now):
        return None
    messages = _by_website(pending)
    if not recent and len(messages) <= MAX_SINGLE:
        # The others are told with what comes in the meantime.
        messages, is_digest = messages[:1], False
    else:
        is_storm = bool(recent) and rhythm.was_digest
        is_digest = is_storm or len(recent) + len(messages) > MAX_QUICK
    if is_digest:
        messages = (tuple(one.id for one in pending),)
    told_at = (*recent, *(now for _ in messages))
    return Flush(
        messages,
        Rhythm(told_at, is_digest),
        _window_end(told_at, is_digest, now=now),
    )


def window_end(rhythm: Rhythm, *, now: datetime) -> datetime:
    """From when on the next message may go out."""
    return _window_end(_recent(rhythm, now=now), rhythm.was_digest, now=now)


def _recent(rhythm: Rhythm, *, now: datetime) -> tuple[datetime, ...]:
    if rhythm.told_at and rhythm.told_at[-1] > now + NEXT_WINDOW:
        # A clock that was set back must not hold up what there is to tell.
        return ()
    return tuple(at for at in rhythm.told_at if at > now - SPAN)


def _window_end(
    recent: Sequence[datetime], was_digest: bool, *, now: datetime
) -> datetime:
    if not recent:
        return now
    is_slow = was_digest or len(recent) >= MAX_QUICK
    return recent[-1] + (NEXT_WINDOW if is_slow else FIRST_WINDOW)


def _by_website(pending: Sequence[Waiting]) -> tuple[tuple[int, ...], ...]:
    """A message for each notice, but one for all with one cause, or of a website."""
    by_cause = _together([one for one in pending if one.leader_id is not None])
    gathered = {id_ for ids in by_cause for id_ in ids}
    by_website: dict[str | None, list[int]] = {}
    for one in pending:
        if one.id not in gathered:
            by_website.setdefault(one.website, []).append(one.id)
    messages = list(by_cause)
    for website, ids in by_website.items():
        if website is not None and len(ids) > MAX_SINGLE:
            messages.append(tuple(ids))
        else:
            messages.extend((id_,) for id_ in ids)
    return tuple(sorted(messages))


def _together(pending: Sequence[Waiting]) -> list[tuple[int, ...]]:
    """The notices of several tasks that have one cause."""
    by_leader: dict[int | None, list[Waiting]] = {}
    for one in pending:
        by_leader.setdefault(one.leader_id, []).append(one)
    return [
        tuple(one.id for one in those)
        for those in by_leader.values()
        if len({one.task_id for one in those}) > 1
    ]
