"""One website: how it is, its checks by path, its certificate, its response time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from argos.core.rollup import HOURS, hour_of
from argos.core.severity import Severity
from argos.server import strips
from argos.server.database import Session
from argos.server.queries import history, incident_list, rollups, statistics
from argos.server.queries.history import ResultRow, TaskRow
from argos.server.queries.incident_list import IncidentRow
from argos.server.queries.rollups import HourSpan
from argos.server.queries.websites import CERTIFICATE_CHECK
from argos.server.routes import wording
from argos.server.routes.access import Viewer
from argos.server.routes.pages.rows import DAY, day_strip, group_incidents
from argos.server.routes.pages.timing import ChartRange, TimedChart, phase_chart
from argos.server.routes.pages.visit import MAX_ID, Visit
from argos.server.routes.templating import render
from argos.server.strips import Strip

router = APIRouter()

BAR_DAYS = 90
SHOWN_INCIDENTS = 12


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check of a path, over IPv4 and IPv6 and from all locations side by side."""

    check: str
    expected: str
    tasks: Mapping["Column", TaskRow]


class Column(NamedTuple):
    """How a website is reached: by which version of IP, and from where."""

    ip_version: str
    location: str = ""
    """Empty: from anywhere."""


def column_of(task: TaskRow) -> Column:
    """The column of a task in the table of its path."""
    return Column(task.ip_version, task.location or "")


@dataclass(frozen=True, slots=True)
class PathGroup:
    """The checks of one request: method and URL."""

    url: str
    method: str
    checks: Sequence[CheckRow]


@dataclass(frozen=True, slots=True)
class CertificateCard:
    """What the last result says of the certificate."""

    task_id: int
    ip_version: str
    severity: Severity
    sentence: str
    facts: Sequence[wording.Fact]
    measured_at: datetime


@router.get("/domain/{host}", name="website")
def show_website(
    viewer: Viewer,
    visit: Visit,
    host: str,
    task: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
    span: Annotated[ChartRange, Query(alias="range")] = ChartRange.DAY,
    done: str | None = None,
) -> Response:
    """The website with exactly this host."""
    session, now = visit.session, visit.now
    found = history.list_websites_of(session, host=host)
    if not found:
        raise HTTPException(404, "Argos does not watch this website.")
    active = [website for website in found if website.archived_at is None]
    ids = [website.id for website in active or found]
    tasks = history.list_website_tasks(session, website_ids=ids, archived=not active)
    task_ids = [each.id for each in tasks]
    newest = history.list_newest_results(session, task_ids=task_ids)
    incidents = incident_list.list_website_incidents(
        session, website_ids=ids, since=now - timedelta(days=BAR_DAYS)
    )
    charted = _charted_task(tasks, task)
    return render(
        visit.request,
        "website.html",
        login=viewer.login,
        host=host,
        website=found[0],
        is_archived=not active,
        severity=_worst(tasks),
        worst=_worst_results(tasks, newest),
        paths=list(group_by_path(tasks)),
        columns=sorted({column_of(task) for task in tasks}),
        certificates=list(_certificates(tasks, newest)),
        day_strip=_day_strip(session, task_ids, now),
        bar=_bar(session, task_ids, now),
        statistics=statistics.list_statistics(session, task_ids=task_ids, now=now),
        incidents=group_incidents(incidents)[:SHOWN_INCIDENTS],
        charted=charted,
        chartable=_chartable(tasks),
        chart=_chart(session, charted, incidents, span, now),
        range=span,
        ranges=list(ChartRange),
        is_rechecking=done == "recheck",
    )


def _worst(tasks: Iterable[TaskRow]) -> Severity:
    return max(
        (task.severity for task in tasks),
        key=lambda severity: severity.urgency,
        default=Severity.UNKNOWN,
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not ok, once, however many checks say it."""

    severity: Severity
    sentence: str
    since: datetime | None
    checks: Sequence[TaskRow]
    agents: Sequence[str]


def _worst_results(
    tasks: Iterable[TaskRow], newest: Mapping[int, ResultRow]
) -> list[Finding]:
    """What is not ok now; checks that say the same are one finding."""
    members: dict[tuple[Severity, str], list[TaskRow]] = {}
    for task in tasks:
        if task.severity is Severity.OK:
            continue
        result = newest.get(task.id)
        sentence = (
            wording.summary(result.context, task.check, task.severity)
            if result
            else "Waiting to be checked for the first time."
        )
        members.setdefault((task.severity, sentence), []).append(task)
    findings = [
        Finding(
            severity,
            sentence,
            min((t.since for t in found if t.since), default=None),
            found,
            sorted({
                agent
                for t in found
                if t.id in newest
                if (agent := newest[t.id].agent_id)
            }),
        )
        for (severity, sentence), found in members.items()
    ]
    return sorted(findings, key=lambda f: f.severity.urgency, reverse=True)


def group_by_path(tasks: Iterable[TaskRow]) -> Iterable[PathGroup]:
    """Checks by what is requested, in the order of the config."""
    paths: dict[tuple[str, str], dict[tuple[str, str], dict[Column, TaskRow]]] = {}
    for task in tasks:
        checks = paths.setdefault((task.url, task.method), {})
        checks.setdefault((task.check, task.expected), {})[column_of(task)] = task
    for (url, method), checks in paths.items():
        rows = [
            CheckRow(check, expected, by_column)
            for (check, expected), by_column in checks.items()
        ]
        yield PathGroup(url, method, rows)


def _certificates(
    tasks: Iterable[TaskRow], newest: Mapping[int, ResultRow]
) -> Iterable[CertificateCard]:
    """A card for each certificate; IPv4 and IPv6 share one when they agree."""
    seen: list[Any] = []
    for task in tasks:
        result = newest.get(task.id)
        if task.check != CERTIFICATE_CHECK or result is None:
            continue
        if (task.severity, result.context) in seen:
            continue
        seen.append((task.severity, result.context))
        sentence = wording.summary(result.context, task.check, task.severity)
        is_known = "expires_in" in result.context
        yield CertificateCard(
            task_id=task.id,
            ip_version=task.ip_version,
            severity=task.severity,
            sentence=sentence if is_known else f"It could not be judged. {sentence}",
            facts=wording.facts({
                k: v for k, v in result.context.items() if k != "expires_in"
            })
            if is_known
            else [],
            measured_at=result.submitted_at,
        )


def _day_strip(session: Session, task_ids: Sequence[int], now: datetime) -> Strip:
    hours = rollups.list_hourly_counts(
        session, task_ids=task_ids, span=HourSpan.until(now, DAY)
    )
    return day_strip(hours, now=now)


def _bar(session: Session, task_ids: Sequence[int], now: datetime) -> Strip:
    """The last 90 days; those on which nothing was measured are not known."""
    span = strips.last_span(now, length=timedelta(days=BAR_DAYS), count=BAR_DAYS)
    first = hour_of(span.since) // HOURS
    days = rollups.list_daily_counts(
        session,
        task_ids=task_ids,
        first_day=first,
        last_day=first + BAR_DAYS - 1,
    )
    found = strips.judge({day - first: counts for day, counts in days.items()})
    return strips.draw_strip(found, span)


def _chartable(tasks: Sequence[TaskRow]) -> list[TaskRow]:
    """One task for each probe: all that share it took the same time."""
    first: dict[tuple[str, str, Column], TaskRow] = {}
    for task in tasks:
        first.setdefault((task.url, task.method, column_of(task)), task)
    return list(first.values())


def _charted_task(tasks: Sequence[TaskRow], wanted: int | None) -> TaskRow | None:
    chosen = [task for task in tasks if task.id == wanted] or tasks
    return chosen[0] if chosen else None


def _chart(
    session: Session,
    task: TaskRow | None,
    incidents: Sequence[IncidentRow],
    span: ChartRange,
    now: datetime,
) -> TimedChart | None:
    if task is None:
        return None
    shaded = [
        (incident.opened_at, incident.closed_at or now)
        for incident in incidents
        if incident.ip_version == task.ip_version
    ]
    return phase_chart(
        session, task_id=task.id, chart_range=span, now=now, incidents=shaded
    )
