"""When people are left in peace: which maintenance, silence or quiet hour holds now."""

import heapq
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from argos.core.matching import Matcher, Subject
from argos.core.severity import Severity
from argos.errors import SilenceRefused
from argos.schemas import Config
from argos.server.database import Database, Session
from argos.server.models import SilenceKind
from argos.server.queries import silences as queries
from argos.server.queries.silences import NewSilence, SilenceRow
from argos.windows import Window

LONGEST_SILENCE = timedelta(days=92)
MANY_WEBSITES = 10
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that leaves people in peace at the moment."""

    label: str
    """For people: `maintenance Patch day`, `silence 12`."""
    matcher: Matcher
    until: datetime
    is_maintenance: bool


@dataclass(frozen=True, slots=True)
class Peace:
    """All that leaves people in peace at one moment."""

    rules: Sequence[Rule] = ()
    quiet_until: datetime | None = None
    """The end of the quiet hours, while they last."""

    def hold(self, subject: Subject, severity: Severity) -> Rule | None:
        """What keeps a notice back, for the longest; None: nothing does."""
        found = [rule for rule in self.rules if rule.matcher.matches(subject)]
        if self.quiet_until is not None and severity is not Severity.CRITICAL:
            quiet = Rule("quiet hours", Matcher(), self.quiet_until, False)
            found.append(quiet)
        return max(found, key=lambda rule: rule.until, default=None)

    def is_maintained(self, subject: Subject) -> bool:
        """Whether something is being worked on."""
        return any(
            rule.is_maintenance and rule.matcher.matches(subject) for rule in self.rules
        )

    @property
    def knows_maintenance(self) -> bool:
        """Whether it is worth to ask for single tasks."""
        return any(rule.is_maintenance for rule in self.rules)


class Calendar:
    """The maintenance windows of one config; looks at each only when it changes."""

    def __init__(self, config: Config) -> None:
        self._windows = list(_windows_of(config))
        self._numbers = count()
        self._lock = threading.Lock()
        self._changes: list[tuple[datetime, int, int]] = []
        self._open: dict[int, Rule] = {}
        self._looked_at: datetime | None = None

    def open_at(self, now: datetime) -> list[Rule]:
        """The windows that are open."""
        with self._lock:
            if self._looked_at is None or now < self._looked_at:
                # The first look, or a clock that was set back.
                self._changes = []
                self._open = {}
                for place in range(len(self._windows)):
                    self._look(place, now)
            while self._changes and self._changes[0][0] <= now:
                _, _, place = heapq.heappop(self._changes)
                self._look(place, now)
            self._looked_at = now
            return list(self._open.values())

    def _look(self, place: int, now: datetime) -> None:
        label, matcher, window = self._windows[place]
        period = window.period(now)
        if period.is_open:
            until = period.until or FOREVER
            self._open[place] = Rule(label, matcher, until, is_maintenance=True)
        else:
            self._open.pop(place, None)
        if period.until is not None:
            entry = (period.until, next(self._numbers), place)
            heapq.heappush(self._changes, entry)


def _windows_of(config: Config) -> Iterable[tuple[str, Matcher, Window]]:
    for each in config.general.maintenance:
        yield f"maintenance {each.name or ''}".rstrip(), each.matcher, each.window
    for website in config.websites:
        for each in website.maintenance:
            label = f"maintenance {each.name or ''}".rstrip()
            yield label, Matcher(website=(website.domain,)), each.window


class _LastCalendar:
    """Keeps the calendar of the config that is in force."""

    def __init__(self) -> None:
        self._kept: tuple[Config, Calendar] | None = None

    def of(self, config: Config) -> Calendar:
        kept = self._kept
        if kept is None or kept[0] is not config:
            kept = self._kept = (config, Calendar(config))
        return kept[1]


_calendars = _LastCalendar()


def look(session: Session, *, config: Config, now: datetime) -> Peace:
    """What leaves people in peace now."""
    rules = _calendars.of(config).open_at(now)
    rules += [
        Rule(
            f"{row.kind} {row.id}",
            row.matcher,
            row.ends_at,
            is_maintenance=row.kind is SilenceKind.MAINTENANCE,
        )
        for row in queries.list_silences(session, ending_after=now)
        if row.starts_at <= now
    ]
    hours = config.general.quiet_hours
    period = hours.period(now) if hours is not None else None
    return Peace(rules, period.until if period and period.is_open else None)


def find_maintained(
    session: Session, task_ids: Collection[int], *, config: Config, now: datetime
) -> frozenset[int]:
    """Which of some tasks are being worked on now."""
    holding = look(session, config=config, now=now)
    if not holding.knows_maintenance or not task_ids:
        return frozenset()
    subjects = queries.list_subjects(session, task_ids=task_ids)
    return frozenset(
        id_ for id_, subject in subjects.items() if holding.is_maintained(subject)
    )


def add_silence(
    database: Database, new: NewSilence, *, now: datetime, is_broad_ok: bool = False
) -> int:
    """Make a silence; return its number. Raises SilenceRefused."""
    if new.ends_at <= max(now, new.starts_at):
        raise SilenceRefused("A silence must end later than it starts, and than now.")
    if new.ends_at - new.starts_at > LONGEST_SILENCE:
        raise SilenceRefused(
            f"A silence lasts {LONGEST_SILENCE.days} days at most; what nobody wants"
            " to hear of at all is better taken out of the config."
        )
    if new.matcher.is_boundless:
        raise SilenceRefused(
            "This would silence everything; name a website, a group, a tag, a URL or"
            " a check."
        )
    with database.transaction() as session:
        if not is_broad_ok:
            _refuse_broad(session, new.matcher)
        return queries.add_silence(session, new, now=now)


def _refuse_broad(session: Session, matcher: Matcher) -> None:
    by_website = replace(matcher, check=())
    if by_website.is_boundless:
        return  # it is the check that narrows it down
    matched = total = 0
    for subject in queries.iterate_websites(session):
        total += 1
        matched += by_website.matches(subject)
    if matched > MANY_WEBSITES and matched * 2 > total:
        raise SilenceRefused(
            f"This would silence {matched} of {total} websites; say so on purpose"
            " (broad), or name less."
        )


def end_silence(database: Database, *, id_: int, by: str, now: datetime) -> bool:
    """End a silence now; False when there is none of this number to end."""
    with database.transaction() as session:
        return queries.end_silence(session, id_=id_, by=by, now=now)


def list_silences(
    session: Session, *, now: datetime, history: timedelta = timedelta(0)
) -> list[SilenceRow]:
    """The silences that hold or will, and those that ended not long ago."""
    return queries.list_silences(session, ending_after=now - history)
