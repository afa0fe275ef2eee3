"""Every host in few words, for programs that ask for all of them."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from argos.core.severity import Severity
from argos.server.models import Task, Website
from argos.server.queries.selection import IS_ACTIVE, fetch


@dataclass(frozen=True, slots=True)
class HostState:
    """All checks of a host in few words, for programs."""

    host: str
    severities: list[Severity]
    """Without repeats, worst first."""
    last_check_at: datetime | None


def list_hosts(session: Session) -> list[HostState]:
    """Every host that the config names, the worst first."""
    hosts: dict[int, str] = dict(fetch(session, select(Website.id, Website.host)))
    rows = fetch(
        session,
        select(Task.website_id, Task.severity, func.max(Task.completed_at))
        .where(IS_ACTIVE, Task.website_id.is_not(None))
        .group_by(Task.website_id, Task.severity),
    )
    found: dict[str, dict[Severity, datetime | None]] = defaultdict(dict)
    for website_id, severity, completed_at in rows:
        parts = found[hosts[website_id]]
        parts[severity] = max(
            (m for m in (parts.get(severity), completed_at) if m), default=None
        )
    states = [
        HostState(
            host,
            sorted(parts, key=lambda severity: severity.rank, reverse=True),
            max((moment for moment in parts.values() if moment), default=None),
        )
        for host, parts in found.items()
    ]
    return sorted(states, key=lambda state: (-state.severities[0].rank, state.host))
