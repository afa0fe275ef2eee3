"""What a message says: one notice, or a digest that lists several."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from argos.channels import ICONS, Entry, Item, Notice, NoticeKind
from argos.core.cause import Cause, Common
from argos.core.severity import Severity
from argos.core.text import cut, visible
from argos.server.queries.deliveries import ClaimedDelivery
from argos.server.services.notice import item_of, notice_of
from argos.server.services.own_words import in_own_words
from argos.server.services.wording import (
    Wording,
    cause_words,
    format_duration,
    severity_word,
    wording_for,
)

__all__ = ["message_of", "wording_for"]

MAX_NAMED = 3
"""So many websites are named in the title of a digest."""
MAX_ENTRY_REASON_LENGTH = 120


def message_of(
    deliveries: Sequence[ClaimedDelivery],
    *,
    batch_id: str,
    references: Sequence[str],
    wording: Wording,
) -> Notice:
    """The message that tells of some deliveries; its id is the same at each attempt."""
    single = len(deliveries) == 1
    notice = (
        notice_of(deliveries[0], wording) if single else _digest(deliveries, wording)
    )
    notice = replace(notice, message_id=batch_id, references=tuple(references))
    return in_own_words(notice, wording.own)


def _digest(deliveries: Sequence[ClaimedDelivery], wording: Wording) -> Notice:
    """All changes, task by task, the worst first; nothing is left out."""
    others = [notice_of(one, wording) for one in deliveries if one.notice is not None]
    items = [item_of(one, wording) for one in deliveries if one.notice is None]
    stories = _stories(items)
    shared = _shared_cause(deliveries)
    causes = {} if shared else _causes_by_task(deliveries)
    entries = [Entry(ICONS[one.severity], one.title, one.url) for one in others]
    told_at = max(one.created_at for one in deliveries)
    entries += [
        _entry(story, wording, now=told_at, cause=causes.get(story[0].task_id))
        for story in stories
    ]
    severities = [one.severity for one in others]
    severities += [story[-1].severity for story in stories]
    return Notice(
        message_id="",
        kind=NoticeKind.DIGEST,
        severity=max(severities, key=lambda severity: severity.urgency),
        at=max([one.at for one in others] + [item.at for item in items]),
        title=_digest_title(others, stories, wording, now=told_at, shared=shared),
        entries=tuple(entries),
        url=wording.link("/incidents"),
        items=tuple(items),
        others=tuple(others),
        language=wording.language,
    )


def _causes_by_task(deliveries: Sequence[ClaimedDelivery]) -> dict[int, Common]:
    """What each task has in common with another one that speaks for it."""
    return {
        one.task_id: one.common
        for one in deliveries
        if one.task_id is not None
        and one.common is not None
        and one.cause is not Cause.WEBSITE
    }


def _shared_cause(deliveries: Sequence[ClaimedDelivery]) -> Common | None:
    """What all that a message tells of has in common, if it is one matter."""
    if len({one.leader_id for one in deliveries}) > 1:
        return None
    counts = Counter(_causes_by_task(deliveries).values())
    return counts.most_common(1)[0][0] if counts else None


def _stories(items: Iterable[Item]) -> list[list[Item]]:
    """What happened to each task, in order; what ended worst comes first."""
    by_task: dict[int, list[Item]] = {}
    for item in items:
        by_task.setdefault(item.task_id, []).append(item)
    return sorted(
        by_task.values(), key=lambda story: (-story[-1].severity.urgency, story[-1].url)
    )


def _entry(
    story: Sequence[Item], wording: Wording, *, now: datetime, cause: Common | None
) -> Entry:
    """A line such as `example.org/ (IPv4) status-is: critical at 12:01, ok at 12:03`."""
    last = story[-1]
    texts = wording.texts
    steps = ", ".join(
        texts.say(
            "{severity} at {moment}",
            severity=item.ending or severity_word(item.severity, texts),
            moment=wording.time(item.at, now=now),
        )
        for item in story
    )
    text = f"{last.url} (IPv{last.ip_version}) {last.check}: {steps}"
    if last.severity is Severity.OK and len(story) == 1 and last.since is not None:
        lasted = format_duration(last.at - last.since, texts)
        text += f" ({texts.say('after {duration}', duration=lasted)})"
    reasons = [item.reason for item in story if item.reason]
    if reasons:
        text += f" · {cut(reasons[-1], MAX_ENTRY_REASON_LENGTH)}"
    if cause is not None:
        text += f" · {cause_words(cause, texts)}"
    return Entry(ICONS[last.severity], visible(text), last.link)


def _digest_title(
    others: Sequence[Notice],
    stories: Sequence[Sequence[Item]],
    wording: Wording,
    *,
    now: datetime,
    shared: Common | None,
) -> str:
    """How much is not ok, how much is ok again, why, where, and since when."""
    texts = wording.texts
    bad = [story[-1] for story in stories if story[-1].severity is not Severity.OK]
    bad_others = [one for one in others if one.severity is not Severity.OK]
    left = sum(story[-1].ending is not None for story in stories)
    good = len(stories) + len(others) - len(bad) - len(bad_others) - left
    parts = []
    if bad or bad_others:
        severities = [one.severity for one in bad]
        severities += [one.severity for one in bad_others]
        worst = max(severities, key=lambda severity: severity.urgency)
        count = len(severities)
        parts.append(
            f"{ICONS[worst]} "
            + texts.count("{number} problem", "{number} problems", count)
        )
    if good:
        words = texts.count("{number} ok again", "{number} ok again", good)
        parts.append(f"{ICONS[Severity.OK]} {words}")
    if left:
        # Maybe still broken, but out of the config.
        parts.append(
            texts.count(
                "{number} watched no longer", "{number} watched no longer", left
            )
        )
    if shared is not None:
        parts.append(cause_words(shared, texts))
    title = ", ".join(parts)
    names = [one.title for one in others]
    names += dict.fromkeys(story[-1].website for story in stories)
    title += f" · {_named(names, wording)}"
    moments = [one.since or one.at for one in bad]
    if moments:
        since = wording.since(min(moments), now=now)
        title += f", {texts.say('since {moment}', moment=since)}"
    return visible(title)


def _named(names: Sequence[str], wording: Wording) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - MAX_NAMED
    shown = ", ".join(names[:MAX_NAMED])
    if more <= 0:
        return shown
    rest = wording.texts.count(
        "and {number} more website", "and {number} more websites", more
    )
    return f"{shown} {rest}"
