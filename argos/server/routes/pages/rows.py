"""Rows of the table of websites, and cards of what is going on."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argos.core.cause import Cause, Common
from argos.core.rollup import Counts, hour_of
from argos.core.severity import Severity
from argos.language import SOURCE_LANGUAGE, texts_in
from argos.server import strips
from argos.server.database import Session
from argos.server.models import DeliveryState
from argos.server.queries import troubles as queries, websites
from argos.server.queries.incident_groups import Gathered
from argos.server.queries.incident_list import IncidentRow
from argos.server.queries.rollups import HourSpan
from argos.server.queries.troubles import OpenTrouble
from argos.server.queries.websites import WebsiteState
from argos.server.routes import wording
from argos.server.services.wording import cause_words
from argos.server.strips import Strip

DAY = timedelta(hours=24)
STRIP_MARKS = 24
SOON_DAYS = 14
"""A certificate that ends within these days is pointed out."""


@dataclass(frozen=True, slots=True)
class WebsiteRow:
    """A website in the table: how it is, and its last day."""

    state: WebsiteState
    strip: Strip
    certificate_days: int | None
    p95_us: int | None

    @property
    def certificate_ends_soon(self) -> bool:
        return self.certificate_days is not None and self.certificate_days < SOON_DAYS


def website_rows(
    session: Session, states: Sequence[WebsiteState], *, now: datetime
) -> list[WebsiteRow]:
    """Add to each website its strip, its certificate and its response time."""
    ids = [state.id for state in states]
    if not ids:
        return []
    hours = HourSpan.until(now, DAY)
    counts = websites.list_website_counts(session, website_ids=ids, span=hours)
    certificates = websites.list_certificate_days(session, website_ids=ids)
    times = websites.list_response_times(session, website_ids=ids, span=hours)
    return [
        WebsiteRow(
            state=state,
            strip=day_strip(counts.get(state.id, {}), now=now),
            certificate_days=certificates.get(state.id),
            p95_us=times.get(state.id),
        )
        for state in states
    ]


def day_strip(hours: Mapping[int, Counts], *, now: datetime) -> Strip:
    """The last 24 hours, from the counts of each hour since 1970."""
    span = strips.last_span(now, length=DAY, count=STRIP_MARKS)
    first = hour_of(span.since)
    found = strips.judge({hour - first: counts for hour, counts in hours.items()})
    return strips.draw_strip(found, span)


TOGETHER = timedelta(minutes=10)
"""Incidents of a website that begin and end within this time are shown as one."""


@dataclass(frozen=True, slots=True)
class IncidentGroup:
    """Incidents of one website that are one story."""

    first: IncidentRow
    """The one that began first."""
    members: Sequence[IncidentRow]
    gathered: Gathered | None = None
    """What the first one speaks for."""

    @property
    def severity(self) -> Severity:
        return self.first.severity if self.gathered is None else self.gathered.severity

    @property
    def closed_at(self) -> datetime | None:
        return (
            self.first.closed_at if self.gathered is None else self.gathered.closed_at
        )

    @property
    def cause(self) -> str:
        """What those have in common that it speaks for."""
        children = () if self.gathered is None else self.gathered.children
        causes = [child.common_with(self.first.host) for child in children]
        return name_cause([cause for cause in causes if cause is not None])


def name_cause(causes: Sequence[Common]) -> str:
    """The cause of most incidents in words; the same website is no news beside others."""
    found = [cause for cause in causes if cause.cause is not Cause.WEBSITE] or causes
    if not found:
        return ""
    ((cause, _),) = Counter(found).most_common(1)
    return cause_words(cause, texts_in(SOURCE_LANGUAGE))


def group_incidents(
    incidents: Iterable[IncidentRow], gathered: Mapping[int, Gathered] | None = None
) -> list[IncidentGroup]:
    """Put together what began and ended together, in the order of the list.

    What speaks for others stays a story of its own.
    """
    known = gathered or {}
    groups: list[list[IncidentRow]] = []
    for incident in incidents:
        is_apart = incident.id in known
        group = next(
            (
                group
                for group in groups
                if group[0].id not in known and _is_one_story(group[0], incident)
            ),
            None,
        )
        if group is None or is_apart:
            groups.append([incident])
        else:
            group.append(incident)
    return [
        IncidentGroup(
            min(group, key=lambda member: member.opened_at),
            group,
            known.get(group[0].id),
        )
        for group in groups
    ]


def _is_one_story(one: IncidentRow, other: IncidentRow) -> bool:
    if (one.host, one.severity) != (other.host, other.severity):
        return False
    if abs(one.opened_at - other.opened_at) > TOGETHER:
        return False
    if one.closed_at is None or other.closed_at is None:
        return one.closed_at is other.closed_at
    return abs(one.closed_at - other.closed_at) <= TOGETHER


@dataclass(frozen=True, slots=True)
class TroubleCard:
    """What is going on, with one cause, on one website or several."""

    severity: Severity
    since: datetime
    sentence: str
    check_count: int
    hosts: Sequence[tuple[str, str | None]]
    """Host and name of each."""
    incident_id: int
    """Of the first website."""
    ip_versions: Sequence[str]
    agents: Sequence[str]
    told: Sequence[str]
    """Recipients whose notices arrived."""
    untold: Sequence[str]
    """Recipients whose notices wait, or were given up."""


def trouble_cards(session: Session, *, limit: int = 200) -> list[TroubleCard]:
    """The open incidents, website by website; the same cause makes one card."""
    troubles = queries.list_open_troubles(session, limit=limit)
    by_cause: dict[tuple[Severity, str, str], list[OpenTrouble]] = defaultdict(list)
    for trouble in troubles:
        sentence = wording.summary(trouble.context, trouble.check, trouble.severity)
        by_cause[trouble.severity, trouble.check, sentence].append(trouble)
    ids = [trouble.website_id for trouble in troubles if trouble.website_id is not None]
    versions, agents = queries.list_witnesses(session, website_ids=ids)
    told = queries.list_told(session, website_ids=ids)
    return [
        _card(severity, sentence, members, versions, agents, told)
        for (severity, _, sentence), members in by_cause.items()
    ]


def _card(
    severity: Severity,
    sentence: str,
    members: Sequence[OpenTrouble],
    versions: Mapping[int, Sequence[str]],
    agents: Mapping[int, Sequence[str]],
    told: Mapping[int, Mapping[str, DeliveryState]],
) -> TroubleCard:
    ids = [member.website_id or 0 for member in members]
    notices = {
        (recipient, state is DeliveryState.SENT)
        for id_ in ids
        for recipient, state in told.get(id_, {}).items()
    }
    return TroubleCard(
        severity=severity,
        since=min(member.opened_at for member in members),
        sentence=sentence,
        check_count=sum(member.check_count for member in members),
        hosts=[(member.host, member.name) for member in members],
        incident_id=members[0].incident_id,
        ip_versions=_union(versions, ids),
        agents=_union(agents, ids),
        told=sorted(name for name, is_sent in notices if is_sent),
        untold=sorted(name for name, is_sent in notices if not is_sent),
    )


def _union(found: Mapping[int, Sequence[str]], ids: Sequence[int]) -> Sequence[str]:
    return sorted({value for id_ in ids for value in found.get(id_, ())})
