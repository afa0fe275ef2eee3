"""What agents call: lease task groups, report results, hand leases back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import GenericAlias
from typing import Annotated, Any, Self, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from argos.core.text import cut, visible
from argos.errors import AccessError
from argos.protocol import (
    MAX_AHEAD_S,
    MAX_LEASE_GROUPS,
    MAX_REPORT_ITEMS,
    MAX_WAIT_S,
    PROTOCOL,
    PROTOCOL_HEADER,
    HeldLease,
    ReleaseAnswer,
    ReportAnswer,
)
from argos.server.queries.agents import Sighting
from argos.server.routes.api.wire import NOTHING, TaskForm, describe_task, encode_tasks
from argos.server.routes.dependencies import AppState, get_app_state
from argos.server.services import agent_access, ingest, lease
from argos.server.services.lease import LeaseWish
from argos.server.services.report import ReportError, parse_report

LONGEST_NAP = timedelta(seconds=1)
"""A waiting agent hears so late at most of groups that others made due."""
MAX_CAPABILITIES = 200
MAX_VERSION_LENGTH = 100
MAX_COUNT = 2**31 - 1

_BEARER = "bearer"
_T = TypeVar("_T")

Count = Annotated[int | None, Field(ge=0, le=MAX_COUNT)]
Amount = Annotated[float | None, Field(ge=0, le=MAX_COUNT, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class CallingAgent:
    """The agent that calls, and from where."""

    name: str
    address: str | None


async def _calling_agent(request: Request) -> CallingAgent:
    """Who calls, by its token; with a shared secret the caller says who it is."""
    app, agent_id = get_app_state(request), request.query_params.get("agent_id")
    address = request.client.host if request.client else None
    token = _bearer_token(request)
    caller: dict[str, Any] = {
        "desk": app.desk,
        "token": token,
        "chosen_name": agent_access.agent_name(agent_id or address or ""),
        "config": app.config,
        "now": app.clock.utcnow(),
    }
    identify = partial(agent_access.identify, app.database, **caller)
    try:
        if agent_access.is_at_hand(**caller):
            name = identify()
        else:
            name = await _in_thread(app, identify)
    except AccessError as err:
        raise _unauthorized("Unauthorized") from err
    return CallingAgent(name, address)


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != _BEARER or not token.strip():
        raise _unauthorized("Not authenticated")
    return token.strip()


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(
        401, detail, headers={"WWW-Authenticate": "Bearer", PROTOCOL_HEADER: PROTOCOL}
    )


Agent = Annotated[CallingAgent, Depends(_calling_agent)]

router = APIRouter(prefix="/api", tags=["agent"])


class AgentQuery(BaseModel):
    """Who calls, if its token does not say so."""

    agent_id: str | None = None


class LeaseQuery(BaseModel):
    """What an agent asks for, and what it tells of itself; all but `limit` is ours."""

    limit: Annotated[int, Field(ge=0)] = 10
    wait: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    ahead: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """Seconds; groups that fall due within them are wanted, too."""
    capabilities: str | None = None
    """Separated by commas; absent from agents of 0.10.3."""
    version: str | None = None
    slots: Count = None
    busy: Count = None
    spooled: Count = None
    waiting: Count = None
    cpu_percent: Amount = None
    lag_ms: Amount = None
    over_budget: bool | None = None
    location: str | None = None
    """Where the agent stands, in its own words."""
    clock: Annotated[float | None, Field(allow_inf_nan=False)] = None
    """What the agent's clock shows, in seconds since 1970."""
    lean: bool = False
    """No more of a task is wanted than what a probe needs."""

    @property
    def form(self) -> TaskForm:
        """How much to say of a task."""
        if self.capabilities is None:
            return TaskForm.LEGACY
        return TaskForm.LEAN if self.lean else TaskForm.FULL

    @classmethod
    def of(cls, request: Request) -> Self:
        """What a call asks for; raises RequestValidationError.

        FastAPI would look at the type of each field, once more in each call, for a
        quarter of all that a call costs beside the database.
        """
        try:
            return cls.model_validate(dict(request.query_params))
        except ValidationError as err:
            faults = err.errors(include_url=False)
            raise RequestValidationError([
                {**fault, "loc": ("query", *fault["loc"])} for fault in faults
            ]) from err

    @property
    def names(self) -> frozenset[str] | None:
        """The capabilities; None from agents of 0.10.3."""
        if self.capabilities is None:
            return None
        names = visible(self.capabilities).split(",", MAX_CAPABILITIES)
        return frozenset(name.strip() for name in names[:MAX_CAPABILITIES]) - {""}

    @property
    def wish(self) -> LeaseWish:
        """What it asks for; agents of 0.10.3 do not know how to wait with a task."""
        names = self.names
        ahead = timedelta(seconds=0 if names is None else min(self.ahead, MAX_AHEAD_S))
        is_lean = self.form is TaskForm.LEAN
        limit = min(self.limit, MAX_LEASE_GROUPS)
        return LeaseWish(limit, names, ahead, self.place, is_lean)

    @property
    def place(self) -> str | None:
        """The location, as we keep it."""
        return agent_access.agent_name(self.location or "").strip() or None


def _describe(*queries: type[BaseModel]) -> dict[str, Any]:
    """What the documentation says of queries that the routes read themselves."""
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for query in queries
            for name, schema in query.model_json_schema()["properties"].items()
        ]
    }


@router.get(
    "/tasks",
    response_model=GenericAlias(list, describe_task()),
    openapi_extra=_describe(AgentQuery, LeaseQuery),
)
async def lease_tasks(request: Request, agent: Agent) -> Response:
    """Lease due task groups; with `wait`, for so many seconds until some are due."""
    query = LeaseQuery.of(request)
    return _answer(await _lease_or_wait(request, get_app_state(request), agent, query))


@router.post(
    "/results",
    status_code=201,
    response_model=ReportAnswer,
    openapi_extra=_describe(AgentQuery),
)
async def post_results(request: Request, agent: Agent) -> Response:
    """Take results over; each item on its own, refused ones with the reason."""
    app = get_app_state(request)
    body = await request.body()
    answer = await _in_thread(app, partial(_see_and_ingest, app, agent, body))
    app.waiting.look_again()
    return _answer(answer.model_dump_json(), status_code=201)


@router.post(
    "/tasks/release",
    response_model=ReleaseAnswer,
    openapi_extra=_describe(AgentQuery),
)
async def release_tasks(
    request: Request, agent: Agent, held: list[HeldLease]
) -> Response:
    """Take leases back that the agent will not use."""
    app = get_app_state(request)
    now = app.clock.utcnow()
    give_back = partial(
        lease.release,
        app.database,
        agent=agent.name,
        held=held[:MAX_LEASE_GROUPS],
        now=now,
    )
    released = ReleaseAnswer(group_ids=await _in_thread(app, give_back))
    return _answer(released.model_dump_json())


def _answer(content: str | bytes, status_code: int = 200) -> Response:
    return Response(
        content,
        status_code=status_code,
        media_type="application/json",
        headers={PROTOCOL_HEADER: PROTOCOL},
    )


def _see(app: AppState, sighting: Sighting) -> None:
    now = app.clock.utcnow()
    agent_access.see_agent(app.database, desk=app.desk, sighting=sighting, now=now)


def _sighting(agent: CallingAgent, query: LeaseQuery, *, now: datetime) -> Sighting:
    version = query.version and cut(visible(query.version), MAX_VERSION_LENGTH)
    return Sighting(
        name=agent.name,
        address=agent.address,
        version=version,
        capabilities=agent_access.encode_capabilities(query.names),
        slots=query.slots,
        busy=query.busy,
        spooled=query.spooled,
        waiting=query.waiting,
        cpu_percent=query.cpu_percent,
        lag_ms=query.lag_ms,
        is_over_budget=query.over_budget,
        location=query.place,
        clock_offset_s=None if query.clock is None else query.clock - now.timestamp(),
    )


async def _lease_or_wait(
    request: Request, app: AppState, agent: CallingAgent, query: LeaseQuery
) -> bytes:
    """Lease; while there is nothing, wait without holding a connection or a thread."""
    wish = query.wish
    sighting: Sighting | None = _sighting(agent, query, now=app.clock.utcnow())
    ends_at = app.clock.monotonic() + min(query.wait, MAX_WAIT_S)
    while True:
        now = app.clock.utcnow()
        call = partial(_lease, app, agent, wish, sighting, form=query.form)
        body, next_due_at = await anyio.to_thread.run_sync(
            call, limiter=app.waiting.lease_threads
        )
        sighting = None  # it is written down
        left = ends_at - app.clock.monotonic()
        if body is not None:
            return body
        if wish.limit == 0 or left <= 0 or app.waiting.is_over:
            return NOTHING
        if await request.is_disconnected():
            return NOTHING
        await app.waiting.nap(min(left, _until_due(next_due_at, now, lead=wish.lead)))


def _until_due(
    next_due_at: datetime | None, now: datetime, *, lead: timedelta
) -> float:
    """Seconds until a group can be leased, or until it is time to look again."""
    if next_due_at is None or next_due_at <= now:
        # Due, but another agent was faster, or is about to be.
        return LONGEST_NAP.total_seconds()
    wait = next_due_at - now
    # Near, and yet not leased: another agent has it, unless its lease runs out.
    return min(wait if wait <= lead else wait - lead, LONGEST_NAP).total_seconds()


def _lease(
    app: AppState,
    agent: CallingAgent,
    wish: LeaseWish,
    sighting: Sighting | None,
    *,
    form: TaskForm,
) -> tuple[bytes | None, datetime | None]:
    """The tasks, ready to be sent, if there are any; else when to look again."""
    if sighting is not None:
        _see(app, sighting)
    answer = lease.lease(
        app.database,
        agent=agent.name,
        wish=wish,
        config=app.config,
        clock=app.clock,
        backlog=app.backlog,
    )
    tasks = answer.lean_tasks or answer.tasks
    if not tasks:
        return None, answer.next_due_at
    return encode_tasks(tasks, form=form, now=app.clock.utcnow()), None


def _see_and_ingest(app: AppState, agent: CallingAgent, body: bytes) -> ReportAnswer:
    _see(app, Sighting(agent.name, agent.address))
    try:
        items = parse_report(body)
    except ReportError as err:
        fault = {"type": "list_type", "loc": ["body"], "msg": str(err)}
        raise HTTPException(422, [fault]) from err
    if len(items) > MAX_REPORT_ITEMS:
        raise HTTPException(
            413, f"A report has {MAX_REPORT_ITEMS} results at most; split it."
        )
    return ingest.ingest(
        app.database,
        agent=agent.name,
        items=items,
        config=app.config,
        now=app.clock.utcnow(),
        watch=app.agent_watch,
    )


async def _in_thread(app: AppState, call: Callable[[], _T]) -> _T:
    """Run a blocking call in one of the threads that are kept for agents."""
    return await anyio.to_thread.run_sync(call, limiter=app.waiting.threads)
