"""The tables: columns, constraints and what relates them. No queries, no rules.

`Task`, `Result`, `ConfigCache` and `User` are the product's contract: their names and
columns are visible in config, pages, API and to people with `psql`. What the queue needs
lies beside them in `Schedule`, one narrow row per task group; `Task.next_run`,
`Task.selected_by` and `Task.selected_at` read, filter, sort and set that row.
"""

from argos.server.models.access import LoginBucket, LoginSession, User
from argos.server.models.base import Base
from argos.server.models.incident import (
    Delivery,
    DeliveryState,
    DeliveryTarget,
    Event,
    Incident,
    IncidentComment,
)
from argos.server.models.quiet import Silence, SilenceKind
from argos.server.models.rollup import Gap, GroupDay, TaskDay
from argos.server.models.schedule import Schedule
from argos.server.models.system import Agent, ConfigCache, Duty, Job, JobKind
from argos.server.models.task import Method, Result, Task, Website

__all__ = [
    "Agent",
    "Base",
    "ConfigCache",
    "Delivery",
    "DeliveryState",
    "DeliveryTarget",
    "Duty",
    "Event",
    "Gap",
    "GroupDay",
    "Incident",
    "IncidentComment",
    "Job",
    "JobKind",
    "LoginBucket",
    "LoginSession",
    "Method",
    "Result",
    "Schedule",
    "Silence",
    "SilenceKind",
    "Task",
    "TaskDay",
    "User",
    "Website",
]
