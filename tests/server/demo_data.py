"""A believable fleet: websites, a day of results, incidents, agents and two users.

For tests of pages, and for looking at them. The same seed gives the same fleet.
"""

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from argos.core.incident import EventKind
from argos.core.probe import IPVersion
from argos.core.rollup import Kind, Ledger, hour_of, slot
from argos.core.severity import Severity, Status
from argos.server.models import (
    Agent,
    Base,
    Delivery,
    DeliveryState,
    Event,
    Incident,
    Result,
    Schedule,
    Task,
    User,
    Website,
)
from argos.server.queries import counting
from tests.server.demo_sites import (
    DAY,
    NO_JSON,
    PERIOD,
    Site,
    Trouble,
    ago,
    demo_sites,
)


@dataclass(slots=True)
class _Rows:
    """What is going to be inserted, table by table."""

    websites: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)


def seed_demo(
    session: Session,
    *,
    now: datetime,
    sites: Sequence[Site] | None = None,
    span: timedelta = DAY,
    password_hash: str = "!",
) -> None:
    """Fill an empty database; `admin` and `visitor` get the password hash."""
    rng = random.Random(7)
    rows = _Rows()
    for site in demo_sites() if sites is None else sites:
        _add_site(rows, site, now=now, span=span, rng=rng)
    _insert(session, rows)
    for name, seen, slots, busy, spooled in [
        ("paris", ago(minutes=0.1), 100, 12, 0),
        ("ams", ago(minutes=0.2), 100, 9, 0),
        ("lyon", ago(hours=2.2), 50, 0, 340),
    ]:
        session.add(
            Agent(
                name=name,
                created_at=now - ago(days=30),
                last_seen_at=now - seen,
                address="192.0.2.10",
                version="1.0.0",
                capabilities=["ipv6"],
                slots=slots,
                busy=busy,
                spooled=spooled,
            )
        )
    for name in ("admin", "visitor"):
        session.add(
            User(username=name, password=password_hash, created_at=now - ago(days=90))
        )
    session.flush()


def _insert(session: Session, rows: _Rows) -> None:
    tables: list[tuple[type[Base], list[dict[str, Any]]]] = [
        (Website, rows.websites),
        (Schedule, rows.groups),
        (Task, rows.tasks),
        (Result, rows.results),
        (Incident, rows.incidents),
        (Event, rows.events),
        (Delivery, rows.deliveries),
    ]
    for model, values in tables:
        if values:
            session.execute(insert(model), values)
    _add_rollups(session, rows)


def _add_rollups(session: Session, rows: _Rows) -> None:
    """Count the results as their own rollups, all hours closed."""
    keys = {group["id"]: group["key"] for group in rows.groups}
    groups = {task["id"]: keys[task["group_id"]] for task in rows.tasks}
    by_task: Ledger[int] = Ledger({})
    by_group: Ledger[bytes] = Ledger({})
    for result in rows.results:
        task_id, hour = result["task_id"], hour_of(result["submitted_at"])
        by_task.count(task_id, hour, Kind.of(result["severity"]))
        if result.get("first_byte_us") is not None:
            by_group.count(groups[task_id], hour, slot(result["total_us"]))
    counting.add_task_hours(session, hours=by_task.closed)
    counting.add_group_hours(session, hours=by_group.closed)


def _key(*parts: str) -> bytes:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).digest()


def _add_site(
    rows: _Rows, site: Site, *, now: datetime, span: timedelta, rng: random.Random
) -> None:
    website_id = len(rows.websites) + 1
    domain = f"https://{site.host}/"
    rows.websites.append({
        "id": website_id,
        "domain": domain,
        "host": site.host,
        "name": site.name,
    })
    for path, checks in site.paths.items():
        url = f"https://{site.host}{path}"
        for ip_version in site.ip_versions:
            group_id = _add_group(rows, site, url, ip_version, now=now, rng=rng)
            probes = list(_probes(site, now=now, span=span, rng=rng))
            for check in checks:
                task = _task(
                    site,
                    (website_id, group_id),
                    url,
                    ip_version,
                    check,
                    id_=len(rows.tasks) + 1,
                )
                rows.tasks.append(task)
                if site.has_run:
                    _add_results(rows, site, task, probes, now=now)


def _add_group(
    rows: _Rows,
    site: Site,
    url: str,
    ip_version: IPVersion,
    *,
    now: datetime,
    rng: random.Random,
) -> int:
    group_id = len(rows.groups) + 1
    upcoming = now + timedelta(seconds=rng.uniform(1, 290))
    rows.groups.append({
        "id": group_id,
        "key": _key("group", url, ip_version),
        "shard": group_id % 16,
        "frequency": PERIOD / timedelta(minutes=1),
        "next_run": upcoming if site.has_run else None,
        "due_at": upcoming if site.has_run else now,
        "lease_no": 288,
        "leased_by": "paris",
    })
    return group_id


def _task(
    site: Site,
    group: tuple[int, int],
    url: str,
    ip_version: IPVersion,
    check: tuple[str, str],
    *,
    id_: int,
) -> dict[str, Any]:
    website_id, group_id = group
    name, expected = check
    return {
        "id": id_,
        "url": url,
        "domain": f"https://{site.host}/",
        "ip_version": ip_version,
        "check": name,
        "expected": expected,
        "frequency": PERIOD / timedelta(minutes=1),
        "recheck_delay": 1.0,
        "task_group": f"GET-{ip_version}-{url}-d41d8cd98f00b204e9800998ecf8427e",
        "severity": Severity.UNKNOWN,
        "key": _key("task", url, ip_version, name, expected),
        "website_id": website_id,
        "group_id": group_id,
        "completed_at": None,
        "last_severity_update": None,
        "last_status": None,
        "severity_since": None,
        "failing_since": None,
        "told_severity": Severity.OK,
        "contiguous_failures": 0,
        "event_count": 0,
    }


Probe = tuple[datetime, str, dict[str, int]]


def _probes(
    site: Site, *, now: datetime, span: timedelta, rng: random.Random
) -> Iterator[Probe]:
    """The moment, agent and timings of each probe, oldest first."""
    offset = timedelta(seconds=rng.uniform(1, PERIOD.total_seconds()))
    age = span - offset
    while age > timedelta(0):
        if site.gap is None or not site.gap[1] <= age <= site.gap[0]:
            moment = now - age
            yield moment, rng.choice(["paris", "ams"]), _timings(site, moment, rng)
        age -= PERIOD


def _timings(site: Site, moment: datetime, rng: random.Random) -> dict[str, int]:
    hour = moment.hour + moment.minute / 60
    busy = 1 + 0.35 * math.sin((hour - 9) / 24 * 2 * math.pi)
    spike = 3.0 if rng.random() < 0.015 else 1.0
    phases = {
        "dns_us": rng.gauss(6_000, 1_500),
        "connect_us": rng.gauss(14_000, 2_500),
        "tls_us": rng.gauss(26_000, 4_000),
        "first_byte_us": rng.gauss(75_000, 12_000) * busy * spike * site.scale,
        "transfer_us": rng.gauss(18_000, 5_000) * site.scale,
    }
    timings = {name: max(300, int(value)) for name, value in phases.items()}
    return {**timings, "total_us": sum(timings.values())}


def _add_results(
    rows: _Rows,
    site: Site,
    task: dict[str, Any],
    probes: Sequence[Probe],
    *,
    now: datetime,
) -> None:
    for moment, agent_id, timings in probes:
        trouble = next(
            (
                trouble
                for trouble in site.troubles
                if trouble.concerns(task["check"], task["ip_version"], now - moment)
            ),
            None,
        )
        result = _result(site, task, trouble, timings)
        rows.results.append({
            "id": len(rows.results) + 1,
            "task_id": task["id"],
            "agent_id": agent_id,
            "submitted_at": moment,
            "received_at": moment + timedelta(milliseconds=80),
            **result,
        })
        _apply(task, result, moment)
    for trouble in site.troubles:
        if trouble.is_told and trouble.concerns(
            task["check"], task["ip_version"], trouble.begin
        ):
            _add_incident(rows, task, trouble, now=now)


def _result(
    site: Site, task: dict[str, Any], trouble: Trouble | None, timings: dict[str, int]
) -> dict[str, Any]:
    no_timings = dict.fromkeys(timings)
    if trouble is None:
        context: dict[str, Any] = {}
        if task["check"] == "status-is":
            context = {"expected": 200, "retrieved": 200}
        if task["check"] == "ssl-certificate-expiration":
            context = {"expires_in": site.certificate_days}
        return {
            "status": Status.SUCCESS,
            "severity": Severity.OK,
            "context": context,
            **timings,
        }
    is_reached = "error_type" not in trouble.context or trouble.context is NO_JSON
    return {
        "status": Status.ERROR
        if trouble.severity is Severity.UNKNOWN
        else Status.FAILURE,
        "severity": trouble.severity,
        "context": trouble.context,
        **(timings if is_reached else no_timings),
    }


def _apply(task: dict[str, Any], result: dict[str, Any], moment: datetime) -> None:
    if task["severity"] is not result["severity"] or task["severity_since"] is None:
        task["severity_since"] = moment
    is_ok = result["severity"] is Severity.OK
    task.update(
        severity=result["severity"],
        last_status=result["status"],
        completed_at=moment,
        last_severity_update=moment,
        failing_since=None if is_ok else task["failing_since"] or moment,
        contiguous_failures=0 if is_ok else task["contiguous_failures"] + 1,
    )


def _add_incident(
    rows: _Rows, task: dict[str, Any], trouble: Trouble, *, now: datetime
) -> None:
    incident_id = len(rows.incidents) + 1
    is_over = trouble.end > timedelta(0)
    rows.incidents.append({
        "id": incident_id,
        "task_id": task["id"],
        "opened_at": now - trouble.begin,
        "closed_at": now - trouble.end if is_over else None,
        "severity": trouble.severity,
    })
    _add_event(rows, task, incident_id, EventKind.OPENED, trouble, now=now)
    if is_over:
        _add_event(rows, task, incident_id, EventKind.CLOSED, trouble, now=now)
    else:
        task["told_severity"] = trouble.severity


def _add_event(
    rows: _Rows,
    task: dict[str, Any],
    incident_id: int,
    kind: EventKind,
    trouble: Trouble,
    *,
    now: datetime,
) -> None:
    task["event_count"] += 1
    is_opened = kind is EventKind.OPENED
    at = now - (trouble.begin if is_opened else trouble.end)
    event_id = len(rows.events) + 1
    rows.events.append({
        "id": event_id,
        "task_id": task["id"],
        "seq": task["event_count"],
        "incident_id": incident_id,
        "kind": kind,
        "at": at,
        "severity": trouble.severity if is_opened else Severity.OK,
        "previous_severity": Severity.OK if is_opened else trouble.severity,
        "reason": "confirmed" if is_opened else "recovered",
        "status": Status.FAILURE if is_opened else Status.SUCCESS,
        "agent_id": "paris",
        "facts": trouble.context if is_opened else {},
    })
    for recipient in ("mail", "apprise:team"):
        is_sent = recipient == "mail" or not is_opened
        rows.deliveries.append({
            "id": len(rows.deliveries) + 1,
            "event_id": event_id,
            "recipient": recipient,
            "state": DeliveryState.SENT if is_sent else DeliveryState.WAITING,
            "created_at": at,
            "due_at": at if is_sent else now + PERIOD,
            "attempts": 1 if is_sent else 3,
            "sent_at": at + timedelta(seconds=4) if is_sent else None,
            "last_error": None if is_sent else "connection refused",
            "message_id": f"<{event_id}.{recipient}@argos>",
        })
