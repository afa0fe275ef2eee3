"""Rows and configs for tests: sane defaults, changed by keyword."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session

from argos.core.schedule import shard
from argos.server.models import Schedule, Task
from argos.server.settings import LoadedConfig, read_config

SECRET = "a-shared-secret-of-all-agents"


def make_config(folder: Path, *, url: str, **changes: Any) -> LoadedConfig:
    """A config by way of its file; keys like `general__alerts` replace what is there."""
    document: dict[str, Any] = {
        "general": {
            "db": {"url": url},
            "cookie_secret": "a-cookie-secret-that-nobody-knows",
            "frequency": "5m",
            "base_url": "https://argos.example.org/",
            "alerts": {
                "ok": ["local"],
                "warning": ["local"],
                "critical": ["local"],
                "unknown": ["local"],
                "no_agent": ["local"],
            },
        },
        "service": {"secrets": [SECRET]},
        "ssl": {"thresholds": [{"1d": "critical"}, {"5d": "warning"}]},
        "recurring_tasks": {
            "max_results_age": "7d",
            "max_lock_seconds": 100,
            "time_without_agent": 5,
        },
        "websites": [],
    }
    for path, value in changes.items():
        *sections, key = path.split("__")
        section = document
        for name in sections:
            section = section[name]
        section[key] = value
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(document))
    file.chmod(0o600)
    return read_config(file, environ={})


def add_group(
    session: Session,
    name: str,
    *,
    due_at: datetime,
    checks: Sequence[str] = ("status-is",),
    tasks: dict[str, Any] | None = None,
    **columns: Any,
) -> Schedule:
    """A task group with a task for each check; more columns of both by keyword."""
    key = _key(name)
    schedule = Schedule(**{
        "key": key,
        "shard": shard(key),
        "frequency": 5.0,
        "due_at": due_at,
        **columns,
    })
    session.add(schedule)
    session.flush()
    for place, check in enumerate(checks):
        session.add(
            Task(**{
                "url": f"https://{name}.example.org/",
                "domain": f"https://{name}.example.org/",
                "check": check,
                "expected": "200",
                "frequency": schedule.frequency,
                "task_group": f"GET-4-{name}",
                "key": _key(f"{name} {place}"),
                "group_id": schedule.id,
                **(tasks or {}),
            })
        )
    session.flush()
    return schedule


def add_groups(
    session: Session, count: int, *, due_at: datetime, **changes: Any
) -> list[int]:
    """So many groups, each a second longer due than the one before; return their ids."""
    moments = [due_at - timedelta(seconds=place) for place in range(count)]
    return [
        add_group(session, f"site{place}", due_at=moment, **changes).id
        for place, moment in enumerate(moments)
    ]


def task_ids(session: Session, group_id: int) -> list[int]:
    """The ids of a group's tasks, in order."""
    return list(
        session.scalars(
            select(Task.id).where(Task.group_id == group_id).order_by(Task.id)
        )
    )


def _key(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()
