"""What an agent says on its own when its server is gone: once, and once more when it is back.

The server tells people of everything else; of its own end it cannot.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from argos.clock import Clock
from argos.errors import DeliveryError

log = logging.getLogger(__name__)

RETRY_INTERVAL_S = 60.0
POST_TIMEOUT_S = 10.0


class Event(StrEnum):
    """What is told."""

    GONE = "server-gone"
    BACK = "server-back"


Post = Callable[[dict[str, Any]], Awaitable[None]]
"""Posts a document as JSON, within some seconds; raises DeliveryError."""


@dataclass(frozen=True, slots=True)
class OutageSettings:
    """Whom an agent tells of a server that is gone, and when."""

    url: str
    after_s: float


class OutageWatch:
    """Remembers for how long no call to the server succeeded, and tells it."""

    def __init__(
        self,
        post: Post,
        *,
        agent: str,
        server: str,
        after_s: float,
        clock: Clock,
        memory: Path | None = None,
    ) -> None:
        self._post = post
        self._agent = agent
        self._server = server
        self._after_s = after_s
        self._clock = clock
        self._failing_at: float | None = None
        self._failing_since: datetime | None = None
        self._memory = memory
        self._told_since = _recall(memory)
        self._try_again_at = 0.0
        self._telling: asyncio.Task[None] | None = None

    def fail(self, reason: str) -> None:
        """A call to the server has failed."""
        now = self._clock.monotonic()
        if self._failing_at is None:
            self._failing_at, self._failing_since = now, self._clock.utcnow()
        if self._told_since is None and now - self._failing_at >= self._after_s:
            self._tell(Event.GONE, self._failing_since, reason)

    def succeed(self) -> None:
        """A call to the server has succeeded."""
        self._failing_at = self._failing_since = None
        if self._told_since is not None:
            self._tell(Event.BACK, self._told_since, "")

    async def close(self) -> None:
        """Break off what is being told."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait({self._telling})

    def _tell(self, event: Event, since: datetime | None, reason: str) -> None:
        now = self._clock.monotonic()
        if self._telling is not None or now < self._try_again_at or since is None:
            return
        self._try_again_at = now + RETRY_INTERVAL_S
        document = self._document(event, since, reason)
        telling = asyncio.create_task(self._deliver(event, since, document))
        self._telling = telling

    async def _deliver(
        self, event: Event, since: datetime, document: dict[str, Any]
    ) -> None:
        try:
            await self._post(document)
        except DeliveryError as err:
            log.error("Could not tell that %s: %s", document["title"], err)  # noqa: TRY400  # no bug of ours
        else:
            log.warning("Told that %s", document["title"])
            self._told_since = since if event is Event.GONE else None
            _remember(self._memory, self._told_since)
            self._try_again_at = 0.0
        finally:
            self._telling = None

    def _document(self, event: Event, since: datetime, reason: str) -> dict[str, Any]:
        host = urlsplit(self._server).netloc.rpartition("@")[2]
        moment = since.isoformat(timespec="seconds")
        if event is Event.GONE:
            title = f"the Argos server {host} cannot be reached by agent {self._agent}"
            message = f"Since {moment}: {reason}"
        else:
            title = f"the Argos server {host} answers agent {self._agent} again"
            message = f"It could not be reached since {moment}."
        return {
            "kind": event.value,
            "title": title,
            # What Gotify, and chats that are like Slack, show.
            "message": message,
            "text": f"{title}\n{message}",
            "agent": self._agent,
            "server": host,
            "since": moment,
            "at": self._clock.utcnow().isoformat(timespec="seconds"),
        }


def _recall(memory: Path | None) -> datetime | None:
    """Since when the server was gone, as an agent that ran before us has told."""
    if memory is None:
        return None
    try:
        return datetime.fromisoformat(memory.read_text(encoding="ascii").strip())
    except (FileNotFoundError, ValueError):
        # There is nothing, or nothing that can be made out: it is told once more.
        return None
    except OSError as err:
        log.warning("Cannot read what was told of an outage: %s", err)
        return None


def _remember(memory: Path | None, since: datetime | None) -> None:
    if memory is None:
        return
    try:
        if since is None:
            memory.unlink(missing_ok=True)
        else:
            memory.write_text(since.isoformat(), encoding="ascii")
    except OSError as err:
        log.warning("An outage may be told twice, if this agent ends: %s", err)


def poster(url: str, *, timeout_s: float = POST_TIMEOUT_S) -> Post:
    """What posts to an address in real life; redirects are not followed."""

    async def post(document: dict[str, Any]) -> None:
        host = urlsplit(url).netloc.rpartition("@")[2]
        try:
            async with (
                asyncio.timeout(timeout_s),
                httpx2.AsyncClient(follow_redirects=False) as client,
                # Only the status counts: the answer's body is not read.
                client.stream("POST", url, json=document) as answer,
            ):
                status = answer.status_code
        except TimeoutError as err:
            raise DeliveryError(
                f"{host} did not answer within {timeout_s:g} s"
            ) from err
        except (httpx2.HTTPError, httpx2.InvalidURL) as err:
            reason = str(err) or type(err).__name__
            raise DeliveryError(f"{host} cannot be reached: {reason}") from err
        if not 200 <= status < 300:
            raise DeliveryError(f"{host} answered {status}")

    return post
