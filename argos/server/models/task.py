"""Websites, their tasks, and the results."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    case,
    false,
    select,
    true,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from argos.checks import BaseCheck, get_registered_check
from argos.clock import utcnow
from argos.core.flapping import FRESH
from argos.core.probe import IPVersion
from argos.core.schedule import next_run as next_run_after
from argos.core.severity import Severity, Status
from argos.server.columns import Facts, Flag, JsonDocument, UtcDateTime, text_enum
from argos.server.models.base import SEVERITY, STATUS, Base, BigId, partial_index
from argos.server.models.schedule import Schedule


class Method(StrEnum):
    """The HTTP methods that a website's path may ask for."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    OPTIONS = "OPTIONS"
    CONNECT = "CONNECT"
    TRACE = "TRACE"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class Website(Base):
    """A config entry: a domain, and how people call it."""

    __tablename__ = "websites"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    domain: Mapped[str] = mapped_column(unique=True)
    """As in the config, normalised: `https://example.org/`."""
    host: Mapped[str] = mapped_column(index=True)
    """The domain's network location: `example.org`, `example.org:8443`."""
    name: Mapped[str | None]
    group_name: Mapped[str | None]
    tags: Mapped[list[str] | None] = mapped_column(JsonDocument)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Task(Base):
    """One check of a website."""

    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    url: Mapped[str]
    domain: Mapped[str]
    ip_version: Mapped[IPVersion] = mapped_column(
        text_enum(IPVersion, "ip_version_enum"),
        default=IPVersion.V4,
        server_default="4",
    )
    check: Mapped[str]
    expected: Mapped[str]
    frequency: Mapped[float] = mapped_column(Float(53))
    """Minutes."""
    recheck_delay: Mapped[float | None] = mapped_column(Float(53))
    """Minutes."""
    already_retried: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false()
    )
    """Whether the upcoming run comes sooner than the frequency, after a failure."""
    retry_before_notification: Mapped[int] = mapped_column(
        default=0, server_default="0"
    )
    contiguous_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    method: Mapped[Method] = mapped_column(
        text_enum(Method, "method"), default=Method.GET, server_default="GET"
    )
    request_data: Mapped[str | None]
    add_alerts_recipients: Mapped[str | None]
    overwrite_alerts_recipients: Mapped[str | None]
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the newest result that counts was measured: `last_result.submitted_at`."""
    task_group: Mapped[str] = mapped_column(default="")
    severity: Mapped[Severity] = mapped_column(SEVERITY, default=Severity.UNKNOWN)
    last_severity_update: Mapped[datetime | None] = mapped_column(UtcDateTime)

    key: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)
    """blake2b-128 of the task's identity; see `argos.server.identity.task_key`."""
    website_id: Mapped[int | None] = mapped_column(
        ForeignKey("websites.id", ondelete="SET NULL"), index=True
    )
    group_id: Mapped[int | None] = mapped_column(
        ForeignKey("schedule.id", ondelete="SET NULL"), index=True
    )
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Set when the config no longer names the task; its history stays."""
    last_status: Mapped[Status | None] = mapped_column(STATUS)
    severity_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when the severity is what it is."""
    told_severity: Mapped[Severity] = mapped_column(
        SEVERITY, default=Severity.OK, server_default=Severity.OK.value
    )
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    applied_lease_no: Mapped[int] = mapped_column(
        Integer, default=0, server_default="0"
    )
    """The fence of the last run that moved the state: each run moves it once."""
    event_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    open_hour: Mapped[int | None] = mapped_column(Integer)
    """The hour since 1970 of which results are being counted."""
    open_counts: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Their tally (see `argos.core.rollup`); closed hours stand in `task_days`."""
    kept_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the newest result that has a row was measured, if it stands for later ones
    that are like it. NULL: it is the last result, or stands for itself alone."""
    kept_facts: Mapped[int | None] = mapped_column(BigInteger)
    """A fingerprint of its facts; NULL: it has none."""
    left_out: Mapped[int | None]
    """How many results after it have no row; NULL with `kept_at`."""
    unbroken_since: Mapped[int | None]
    """The leases from this one on to `applied_lease_no` are over; see
    `argos.core.lease_log`. NULL: their results have rows by which they are known."""
    earlier_leases: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Leases that are over, too, up to some that nobody reported."""

    recoveries_before_notification: Mapped[int] = mapped_column(
        default=0, server_default="0"
    )
    confirm: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    """Whether another agent looks before a problem is told."""
    contiguous_successes: Mapped[int] = mapped_column(default=0, server_default="0")
    run_history: Mapped[int] = mapped_column(default=FRESH, server_default=str(FRESH))
    """The last runs, a bit for each; see `argos.core.flapping`."""
    is_flapping: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false()
    )
    seen_by: Mapped[str | None]
    """The agent that alone saw all the failures in a row."""
    confirming_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when another agent is asked to look."""
    doubted_agent: Mapped[str | None]
    """The agent that saw the task fail where another one found it ok."""
    doubted_since: Mapped[datetime | None] = mapped_column(UtcDateTime)

    location: Mapped[str | None]
    """From where it is watched; NULL: from anywhere."""
    quorum: Mapped[int | None] = mapped_column(SmallInteger)
    """At so many locations a problem must be seen before it is told."""
    watch_key: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    """The same for a check's tasks at all of its locations."""

    schedule: Mapped[Schedule | None] = relationship(lazy="joined")
    website: Mapped[Website | None] = relationship()
    results: Mapped[list["Result"]] = relationship(
        back_populates="task",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="Result.submitted_at.desc()",
    )

    __table_args__ = (
        Index("similar_tasks", "task_group"),
        # Pages show first what is wrong; on a healthy fleet this index is tiny.
        partial_index(
            "ix_tasks_not_ok",
            "severity <> 'ok' AND archived_at IS NULL",
            "severity",
            "website_id",
        ),
        # Rows for which an answer is awaited: few, and looked for every few seconds.
        partial_index(
            "ix_tasks_confirming", "confirming_since IS NOT NULL", "confirming_since"
        ),
        # Few websites are watched from several locations.
        partial_index("ix_tasks_watch_key", "watch_key IS NOT NULL", "watch_key"),
        # list_orphans
        partial_index(
            "ix_tasks_told_apart",
            "watch_key IS NOT NULL AND told_severity <> 'ok'",
            "id",
        ),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    def __str__(self) -> str:
        return f"{self.check} of {self.url} (IPv{self.ip_version})"

    @hybrid_property
    def next_run(self) -> datetime | None:
        """When the task runs next; None until its first result."""
        return self.schedule.next_run if self.schedule else None

    @next_run.inplace.setter
    def _set_next_run(self, moment: datetime | None) -> None:
        schedule = self._own_schedule()
        schedule.next_run = moment
        if schedule.leased_at is None:
            schedule.due_at = moment or utcnow()

    @next_run.inplace.expression
    @classmethod
    def _next_run_expression(cls) -> ColumnElement[datetime | None]:
        return _of_schedule(Schedule.next_run)

    @hybrid_property
    def selected_by(self) -> str | None:
        """The agent that holds the task's lease, if any."""
        if self.schedule is None or self.schedule.leased_at is None:
            return None
        return self.schedule.leased_by

    @selected_by.inplace.setter
    def _set_selected_by(self, agent_id: str | None) -> None:
        self._own_schedule().leased_by = agent_id

    @selected_by.inplace.expression
    @classmethod
    def _selected_by_expression(cls) -> ColumnElement[str | None]:
        return _of_schedule(
            case((Schedule.leased_at.is_not(None), Schedule.leased_by), else_=None)
        )

    @hybrid_property
    def selected_at(self) -> datetime | None:
        """When the task's present lease began, if it is leased."""
        return self.schedule.leased_at if self.schedule else None

    @selected_at.inplace.setter
    def _set_selected_at(self, moment: datetime | None) -> None:
        self._own_schedule().leased_at = moment

    @selected_at.inplace.expression
    @classmethod
    def _selected_at_expression(cls) -> ColumnElement[datetime | None]:
        return _of_schedule(Schedule.leased_at)

    @property
    def last_result(self) -> "Result | None":
        """The newest result."""
        return self.results[0] if self.results else None

    @property
    def status(self) -> Status | None:
        """The status of the last result."""
        return self.last_status

    def get_check(self) -> type[BaseCheck]:
        """The check's class; raises CheckNotFound."""
        return get_registered_check(self.check)

    def set_times_severity_and_deselect(
        self, severity: Severity, submitted_at: datetime
    ) -> None:
        """Take over a result: release the lease, set severity, completion, next run."""
        if severity is not self.severity or self.severity_since is None:
            self.severity_since = submitted_at
        self.severity = severity
        self.last_severity_update = submitted_at
        self.completed_at = submitted_at
        schedule = self._own_schedule()
        schedule.leased_at = None
        rechecks = severity is not Severity.OK and self.recheck_delay is not None
        self.already_retried = rechecks
        schedule.next_run = schedule.due_at = next_run_after(
            submitted_at,
            frequency=timedelta(minutes=schedule.frequency),
            key=schedule.key,
            recheck_delay=timedelta(minutes=self.recheck_delay or 0)
            if rechecks
            else None,
        )

    def _own_schedule(self) -> Schedule:
        if self.schedule is None:
            raise ValueError(f"{self} has no schedule row; it is archived or not saved")
        return self.schedule


def _of_schedule(column: Any) -> ColumnElement[Any]:
    return (
        select(column)
        .where(Schedule.id == Task.group_id)
        .correlate(Task)
        .scalar_subquery()
    )


class Result(Base):
    """The stored outcome of one task, once."""

    __tablename__ = "results"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    task_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("tasks.id", ondelete="CASCADE")
    )
    """On PostgreSQL without a foreign key: a trigger on `tasks` deletes its results."""
    agent_id: Mapped[str | None]
    submitted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was measured, by the server's clock: lease + the agent's elapsed time."""
    received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """NULL: at once, that is within ten seconds of the measurement."""
    status: Mapped[Status] = mapped_column(STATUS)
    severity: Mapped[Severity] = mapped_column(SEVERITY)
    context: Mapped[dict[str, Any]] = mapped_column(Facts, nullable=True, default=dict)
    is_late: Mapped[bool] = mapped_column(Flag, nullable=True)
    """Stored and counted, but came after its lease had gone to another run."""
    in_maintenance: Mapped[bool] = mapped_column(Flag, nullable=True)
    """Measured inside a maintenance window: counted as that and as nothing else."""
    dns_us: Mapped[int | None]
    """This and what follows: of a run that was well as a whole one of the results says
    it for all; see `queries.run_times`."""
    connect_us: Mapped[int | None]
    tls_us: Mapped[int | None]
    first_byte_us: Mapped[int | None]
    transfer_us: Mapped[int | None]
    total_us: Mapped[int | None]
    timing_error_us: Mapped[int | None]
    left_out: Mapped[int | None]
    """How many results between the one before and this one have no row: all of them are
    like the one before. NULL: none."""

    task: Mapped[Task] = relationship(back_populates="results")

    __table_args__ = (
        UniqueConstraint("task_id", "submitted_at"),
        {"postgresql_partition_by": "RANGE (submitted_at)"},
    )

    def __str__(self) -> str:
        return f"result {self.id} of task {self.task_id}: {self.severity}"

    def set_status(self, status: Status, severity: Severity) -> None:
        """Set the final status and severity."""
        self.status = status
        self.severity = severity
