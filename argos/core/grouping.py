"""What goes into one message: single notices in calm times, digests in storms.

The first notice after a quiet minute goes out at once. What follows waits for ten seconds,
and is told one by one unless it is too much: what has one cause, and more than five notices
of one website, go into one message, and so does everything together when there would be more than five
messages. After such a digest the next window lasts a minute. A thousand websites that
break within a minute are thus three messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_WINDOW = timedelta(seconds=10)
NEXT_WINDOW = timedelta(seconds=60)
MAX_SINGLE = 5
"""So many notices are told one by one."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that waits to be told to somebody."""

    id: int
    message_id: str
    batch_id: str | None
    """The message that it goes into, once that is decided."""
    due_at: datetime
    task_id: int | None
    website: str | None
    """What it is about; None for what is about no website."""
    leader_id: int | None = None
    """The incident that speaks for its own, where such with one cause are gathered."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What a recipient heard of late."""

    flushed_at: datetime | None = None
    """When it was last decided what to tell."""
    streak: int = 0
    """How many messages there were since it was last quiet for a minute."""
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


def find_due_message(waiting: Sequence[Waiting], *, now: datetime) -> str | None:
    """The message to be sent next, of those whose content is decided.

    What somebody hears of a task, they hear in order: a message waits while it tells of
    a task of which something older waits elsewhere.
    """
    oldest: dict[int, str | None] = {}
    held_up: set[str] = set()
    for one in waiting:
        if one.task_id is not None:
            first = oldest.setdefault(one.task_id, one.batch_id)
            if one.batch_id is not None and first != one.batch_id:
                held_up.add(one.batch_id)
    for one in waiting:
        if one.batch_id not in held_up and one.due_at <= now and one.batch_id:
            return one.batch_id
    return None


def list_pending(waiting: Sequence[Waiting], *, now: datetime) -> list[Waiting]:
    """What may go into a message now; in order, too."""
    pending = []
    held_up: set[int] = set()
    for one in waiting:
        if one.task_id in held_up:
            continue
        if one.batch_id is None and one.due_at <= now:
            pending.append(one)
        elif one.task_id is not None:
            held_up.add(one.task_id)
    return pending


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
    if not pending or now < window_end(rhythm, now=now):
        return None
    is_calm = _is_calm(rhythm, now=now)
    streak = 0 if is_calm else rhythm.streak
    is_storm = rhythm.was_digest and not is_calm
    messages = _by_website(pending)
    is_digest = is_storm or streak + len(messages) > MAX_SINGLE
    if is_digest:
        messages = (tuple(one.id for one in pending),)
    elif is_calm:
        messages = messages[:1]
    after = Rhythm(now, streak + len(messages), is_digest)
    return Flush(messages, after, window_end(after, now=now))


def window_end(rhythm: Rhythm, *, now: datetime) -> datetime:
    """From when on the next message may go out."""
    if rhythm.flushed_at is None or _is_calm(rhythm, now=now):
        return now
    return rhythm.flushed_at + (NEXT_WINDOW if rhythm.was_digest else FIRST_WINDOW)


def _is_calm(rhythm: Rhythm, *, now: datetime) -> bool:
    at = rhythm.flushed_at
    if at is None:
        return True
    # A storm is over when its last window has passed, and another one without news.
    rest = 2 * NEXT_WINDOW if rhythm.was_digest else NEXT_WINDOW
    # A clock that was set back must not hold up what there is to tell.
    return now >= at + rest or now < at - NEXT_WINDOW


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
