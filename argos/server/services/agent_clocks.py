"""Agents whose clocks are off: one notice, one recovery.

Nothing depends on an agent's clock: what it measures is dated by the server's clock and by
the time that passed since the lease. But its log tells wrong times, and so may all else
on its machine. The rule is pure: what is remembered goes in, and what to remember comes
out.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from argos.channels import NoticeKind
from argos.core.severity import Severity
from argos.language import SOURCE_LANGUAGE, Phrase, mark, texts_in
from argos.server.columns import from_epoch_us, to_epoch_us
from argos.server.queries import agents as queries
from argos.server.services.agent_notice import tell_of_agents
from argos.server.services.notice import Draft
from argos.server.services.upkeep import Work
from argos.server.services.wording import rough_duration

log = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=15)
SHOWN = timedelta(seconds=5)
"""A clock that is off by more is pointed out on the page of agents."""
WRONG = timedelta(seconds=60)
"""A clock that is off by more is told of."""
RIGHT = timedelta(seconds=30)
"""One that was told of has to be as near as this before that is told."""
PATIENCE = timedelta(minutes=1)
"""It has to stay so: a call that was held up on its way looks like a slow clock."""


@dataclass(frozen=True, slots=True)
class ClockState:
    """What is remembered of a clock that is, or was told to be, off."""

    turned_at: datetime | None = None
    """Since when it is otherwise than was told."""
    told_at: datetime | None = None
    """When it was told that it is off; None: it was not."""

    def write(self) -> list[int | None]:
        """As JSON-ready numbers."""
        return [
            None if moment is None else to_epoch_us(moment)
            for moment in (self.turned_at, self.told_at)
        ]


@dataclass(frozen=True, slots=True)
class News:
    """What to tell of one agent's clock."""

    agent: str
    kind: NoticeKind
    offset: timedelta | None
    """By how much it is ahead; None: the agent was revoked, and has none any more."""


def read_states(note: Mapping[str, Any] | None) -> dict[str, ClockState]:
    """What is remembered, by the agent's name."""
    return {
        name: ClockState(*(m and from_epoch_us(m) for m in moments))
        for name, moments in (note or {}).items()
    }


def look(
    before: Mapping[str, ClockState],
    *,
    offsets: Mapping[str, timedelta],
    watched: Collection[str],
    now: datetime,
) -> tuple[dict[str, ClockState], list[News]]:
    """Look whose clock is off; return what to remember, and what to tell.

    `offsets` holds the agents that are there; what is known of others that are `watched`
    stays known.
    """
    after = {name: state for name, state in before.items() if name in watched}
    news = [
        News(agent, NoticeKind.CLOCK_RIGHT, None)
        for agent, state in sorted(before.items())
        if agent not in watched and state.told_at is not None
    ]
    for agent, offset in sorted(offsets.items()):
        state, kind = _judge(before.get(agent, ClockState()), offset, now=now)
        after[agent] = state
        if kind is not None:
            news.append(News(agent, kind, offset))
    calm = ClockState()
    return {name: state for name, state in after.items() if state != calm}, news


def _judge(
    state: ClockState, offset: timedelta, *, now: datetime
) -> tuple[ClockState, NoticeKind | None]:
    is_told = state.told_at is not None
    is_wrong = abs(offset) > (RIGHT if is_told else WRONG)
    if is_wrong is is_told:
        return replace(state, turned_at=None), None
    since = state.turned_at
    if since is None or since > now:
        return replace(state, turned_at=now), None
    if now - since < PATIENCE:
        return state, None
    if is_wrong:
        return ClockState(told_at=now), NoticeKind.CLOCK_WRONG
    return ClockState(), NoticeKind.CLOCK_RIGHT


def watch_clocks(work: Work) -> None:
    """Tell of agents whose clocks are off, and when they are right again."""
    alerts = work.config.general.alerts
    minutes = work.config.recurring_tasks.time_without_agent
    with work.transaction() as session:
        offsets = queries.list_clock_offsets(
            session, seen_after=work.now - timedelta(minutes=minutes)
        )
        states, news = look(
            read_states(work.note),
            offsets={name: read_offset(s) for name, s in offsets.items()},
            watched=queries.list_last_seen(session),
            now=work.now,
        )
        work.note = {name: state.write() for name, state in states.items()}
        notices = [(each, _notice(each, now=work.now)) for each in news]
        for each, notice in notices:
            tell_of_agents(
                session,
                notice,
                recipients=alerts.of_agent_clock,
                config=work.config,
                agent=each.agent,
            )
    for _, notice in notices:
        log.log(
            logging.INFO if notice.severity is Severity.OK else logging.WARNING,
            "%s", texts_in(SOURCE_LANGUAGE).phrase(notice.title),
        )  # fmt: skip


def read_offset(seconds: float) -> timedelta:
    """An offset as it is stored; an agent may say anything of its clock."""
    most_s = timedelta(days=365_000).total_seconds()
    return timedelta(seconds=max(-most_s, min(seconds, most_s)))


def _notice(news: News, *, now: datetime) -> Draft:
    agent = (Phrase("Agent"), news.agent)
    time = (Phrase("Time"), now)
    if news.kind is NoticeKind.CLOCK_RIGHT or news.offset is None:
        words = (
            mark("Agent {agent}, whose clock was off, was revoked")
            if news.offset is None
            else mark("The clock of agent {agent} is right again")
        )
        title = Phrase(words, {"agent": news.agent})
        return Draft(news.kind, Severity.OK, now, title, (agent, time))
    is_ahead = news.offset > timedelta()
    words = (
        mark("The clock of agent {agent} is ahead")
        if is_ahead
        else mark("The clock of agent {agent} is behind")
    )
    return Draft(
        kind=news.kind,
        severity=Severity.WARNING,
        at=now,
        title=Phrase(words, {"agent": news.agent}),
        lines=(
            agent,
            (
                Phrase("Ahead by") if is_ahead else Phrase("Behind by"),
                rough_duration(abs(news.offset)),
            ),
            time,
            (
                Phrase("What to do"),
                Phrase("let NTP set the clock of its machine, or of this server's"),
            ),
            (
                Phrase("Until then"),
                Phrase("its results are right: no clock of its own dates them"),
            ),
        ),
    )
