"""The agent's calls to the server: lease, report, release.

Servers of 0.10.3 are spoken to by the same two routes; they know no release.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.request import getproxies

import httpx2
import msgspec
from pydantic import ValidationError

from argos import VERSION
from argos.agent.direct import DirectTransport
from argos.agent.load import Load
from argos.errors import (
    NotAnArgosServer,
    ReportRefused,
    ServerError,
    ServerUnreachable,
    TokenRefused,
)
from argos.protocol import PROTOCOL_HEADER, HeldLease, ReportAnswer, Task

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
"""How long a call may take as a whole, beside the wait that it asked for."""
KEEP_S = 30.0
"""How long a connection is kept without use: longer than the pause between two reports,
shorter than proxies keep it."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024

_TASKS = msgspec.json.Decoder(list[Task])
_TOKEN_REFUSED = frozenset({401, 403})
_REPORT_REFUSED = frozenset({413, 422})
_COME_BACK = frozenset({429, 503})
"""Answers of a server, or of a proxy before it, that has not looked at the request."""
_MAX_RETRY_AFTER_S = 300.0
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """How many task groups an agent wants, and what it tells of itself."""

    limit: int
    wait_s: int
    ahead_s: float
    """Groups that fall due within this time are wanted, too."""
    slots: int
    busy: int
    spooled: int
    capabilities: tuple[str, ...]
    location: str | None = None
    waiting: int = 0
    """Probes that only wait for their websites; they take no slots."""
    load: Load | None = None
    clock: datetime | None = None
    """What the agent's clock shows."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The same as a query; what is not known is left out."""
        parameters = {
            "limit": self.limit,
            "wait": self.wait_s,
            "ahead": self.ahead_s,
            "slots": self.slots,
            "busy": self.busy,
            "waiting": self.waiting,
            "spooled": self.spooled,
            "version": VERSION,
            "capabilities": ",".join(self.capabilities),
            "lean": 1,
        }
        if self.location:
            parameters["location"] = self.location
        if self.load is not None:
            parameters["cpu_percent"] = round(self.load.cpu_percent, 1)
            parameters["lag_ms"] = round(self.load.lag_ms, 1)
            parameters["over_budget"] = int(self.load.is_over_budget)
        if self.clock is not None:
            parameters["clock"] = f"{self.clock.timestamp():.3f}"
        return parameters


@dataclass(frozen=True, slots=True)
class LeaseAnswer:
    """The tasks of the groups that were leased."""

    tasks: list[Task]
    is_legacy: bool
    """The server is a 0.10.3: it cannot wait, fence or take anything twice."""


class Server(Protocol):
    """What the agent needs of a server. All methods raise ServerError."""

    @property
    def url(self) -> str:
        """Where it is, for logs."""

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        """Lease task groups; waits for some to fall due if the server can."""

    async def report(self, payloads: Sequence[bytes]) -> ReportAnswer:
        """Deliver results, each a JSON object."""

    async def release(self, leases: Sequence[HeldLease]) -> None:
        """Hand leases back that will not be used."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Which server, and as whom."""

    url: str
    token: str
    name: str
    user_agent_suffix: str = ""
    ca_file: str | None = None
    """PEM file of the roots that may vouch for the server; None: the usual ones."""
    uses_proxy: bool = True
    """Go through the proxy that HTTP_PROXY and the like name, as 0.10.3 does."""


class ServerClient:
    """Talks to a server over HTTP with kept-alive connections."""

    def __init__(self, settings: ClientSettings) -> None:
        self.url = settings.url.rstrip("/")
        self._name = settings.name
        headers = {
            "Authorization": f"Bearer {settings.token}",
            "User-Agent": f"Argos Panoptes agent {VERSION}{settings.user_agent_suffix}",
        }
        try:
            self._http = httpx2.AsyncClient(headers=headers, **_way_to(settings))
        except (ImportError, ValueError) as err:
            # SOCKS takes a package that we do not ask for.
            raise ServerError(
                "The server cannot be reached by the proxy that the environment names"
                " (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY): it has to begin with http://."
            ) from err

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        answer, body = await self._call(
            "GET",
            "/api/tasks",
            params=request.parameters,
            wait_s=request.wait_s,
        )
        if answer.status_code != httpx2.codes.OK:
            raise self._not_argos(f"it answered {answer.status_code}")
        return LeaseAnswer(
            self._parse_tasks(body), PROTOCOL_HEADER not in answer.headers
        )

    def _parse_tasks(self, body: bytes) -> list[Task]:
        try:
            return _TASKS.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._parse_one_by_one(body)

    def _parse_one_by_one(self, body: bytes) -> list[Task]:
        """The tasks that can be understood, of an answer that is not all right."""
        try:
            items = json.loads(body)
        except (ValueError, RecursionError) as err:
            raise self._not_argos("its answer is not JSON") from err
        if not isinstance(items, list):
            raise self._not_argos("its answer is not a list of tasks")
        tasks = []
        for item in items:
            try:
                tasks.append(msgspec.convert(item, Task, strict=False))
            except msgspec.ValidationError as err:
                log.warning("Skipped a task that cannot be understood: %s", err)
        return tasks

    async def report(self, payloads: Sequence[bytes]) -> ReportAnswer:
        answer, body = await self._call(
            "POST", "/api/results", content=b"[" + b",".join(payloads) + b"]"
        )
        if answer.status_code != httpx2.codes.CREATED:
            raise self._not_argos(f"it answered {answer.status_code}")
        try:
            return ReportAnswer.model_validate_json(body)
        except ValidationError as err:
            raise self._not_argos("its answer to results is not one") from err

    async def release(self, leases: Sequence[HeldLease]) -> None:
        content = json.dumps([lease.model_dump() for lease in leases]).encode()
        await self._call("POST", "/api/tasks/release", content=content)

    async def close(self) -> None:
        await self._http.aclose()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        content: bytes | None = None,
        wait_s: float = 0.0,
    ) -> tuple[httpx2.Response, bytes]:
        """One call; raises what is wrong with it, or with its answer's status."""
        timeout = httpx2.Timeout(wait_s + ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        headers = self._http.headers.copy()
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            # Not built by the client, for which that is as dear as the call itself.
            request = httpx2.Request(
                method,
                self.url + path,
                params={"agent_id": self._name, **(params or {})},
                headers=headers,
                content=content,
                extensions={"timeout": timeout.as_dict()},
            )
            async with asyncio.timeout(wait_s + ANSWER_TIMEOUT_S):
                answer = await self._http.send(request, stream=True)
                try:
                    body = await _read(answer)
                finally:
                    await answer.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as err:
            raise ServerUnreachable(
                f"{self.url} cannot be reached: {str(err) or type(err).__name__}",
                is_unprocessed=isinstance(err, _NOT_SENT),
            ) from err
        if not answer.is_success:
            raise self._error_for(answer, body)
        return answer, body

    def _error_for(self, answer: httpx2.Response, body: bytes) -> ServerError:
        """What an answer means that is no success."""
        status = answer.status_code
        says = f"{self.url} answered {status} {answer.reason_phrase}: {_text(body)}"
        if status in _TOKEN_REFUSED:
            return TokenRefused(
                f"{self.url} does not accept this agent's token ({_text(body)}); "
                "give it one of service.secrets or of `argos server agent-token add`",
                is_unprocessed=True,
            )
        if status in _REPORT_REFUSED and answer.request.method == "POST":
            return ReportRefused(says, is_unprocessed=True)
        if status in _COME_BACK or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
            return ServerError(
                says,
                is_unprocessed=status in _COME_BACK,
                retry_after_s=_retry_after(answer),
            )
        target = answer.headers.get("Location")
        if target is not None:
            return self._not_argos(f"it redirects to {target[:200]}; use that address")
        return self._not_argos(f"it answered {status}")

    def _not_argos(self, reason: str) -> NotAnArgosServer:
        return NotAnArgosServer(
            f"{self.url} answers, but is not an Argos server: {reason}",
            is_unprocessed=True,
        )


async def _read(answer: httpx2.Response) -> bytes:
    """The body, up to a limit: an agent's memory must not depend on who answers."""
    chunks = []
    size = 0
    async for chunk in answer.aiter_bytes():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise httpx2.DecodingError(
                f"the answer is longer than {MAX_ANSWER_BYTES >> 20} MiB"
            )
    # Not added up in a bytearray, which would be moved again and again.
    return b"".join(chunks)


def _way_to(settings: ClientSettings) -> dict[str, Any]:
    """How httpx2 is to reach the server: by itself only if that takes a proxy."""
    trust = _trust(settings)
    if settings.uses_proxy and getproxies().keys() - {"no"}:
        limits = httpx2.Limits(max_connections=8, keepalive_expiry=KEEP_S)
        return {"verify": trust or False, "limits": limits}
    transport = DirectTransport(tls=trust, keep_s=KEEP_S, max_bytes=MAX_ANSWER_BYTES)
    return {"transport": transport, "trust_env": False}


def _trust(settings: ClientSettings) -> ssl.SSLContext | None:
    """No trusted roots are loaded for plain http."""
    if not settings.url.lower().startswith("https:"):
        return None
    import certifi

    if settings.ca_file is not None:
        return ssl.create_default_context(cafile=settings.ca_file)
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _retry_after(answer: httpx2.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return (
        min(float(text), _MAX_RETRY_AFTER_S)
        if text.isascii() and text.isdecimal()
        else None
    )


def _text(body: bytes) -> str:
    return " ".join(body[:300].decode(errors="replace").split())
