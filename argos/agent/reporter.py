"""Brings results to the server: in small batches, and by way of the disk when it is away.

A result is in one of three places: the queue (fresh), the report under way, or the
spool. What was spooled is delivered oldest first, at a bounded rate, beside what is
fresh: a long outage does not hold up the news.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Protocol, TypeVar

from argos.agent.answer_log import log_answer
from argos.agent.backoff import Backoff
from argos.agent.client import Server
from argos.agent.spool import Spool, SpooledBatch, SpooledCopy
from argos.clock import Clock
from argos.errors import NotAnArgosServer, ReportRefused, ServerError, TokenRefused
from argos.protocol import MAX_REPORT_RESULTS

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_INTERVAL_S = 0.25
"""How long a result waits for company."""
MAX_BATCH_BYTES = 900 * 1024
"""A proxy in front of the server usually takes 1 MiB."""
MAX_LEGACY_RESULTS = 300
MAX_QUEUED_RESULTS = 20_000
"""In memory, when neither the server nor the disk takes them."""
ENOUGH_RESULTS = 5_000
"""With so many in memory, nothing more should be leased: the server is slower than we
are."""
COURIERS = 6
"""Reports under way at once; a server of 0.10.3 gets one after the other."""
COPY_AFTER_S = 2.0
"""A report that is not answered by then is copied to the disk, should we be killed."""
DRAIN_PAUSE_S = 0.25
"""Between two batches of the spool: 2,000 results a second at most."""
LONGEST_PAUSE_S = 10.0
TELL_INTERVAL_S = 10.0
REFUSED_PAUSE_S = 60.0
"""Where only a human can help: the token, or the address."""
LEGACY_SPOOL_AGE = timedelta(seconds=90)
"""A 0.10.3 server takes every result for a fresh one, so that old ones would mislead."""


class RunBlocking(Protocol):
    """Runs a function off the event loop; `asyncio.to_thread`, but for simulations."""

    async def __call__(self, function: Callable[[], T], /) -> T: ...


class Reporter:
    """Takes results from the loop and does not rest until the server has them."""

    def __init__(
        self,
        server: Server,
        spool: Spool | None,
        *,
        clock: Clock,
        backoff: Backoff,
        run_blocking: RunBlocking = asyncio.to_thread,
    ) -> None:
        self._server = server
        self._spool = spool
        self._clock = clock
        self._backoff = backoff
        self._run_blocking = run_blocking
        self._queue: deque[bytes] = deque()
        self._under_way: list[list[bytes]] = []
        self._is_legacy: bool | None = None
        self._retry_at = 0.0
        self._told = (0, 0)
        self._tell_again_at = 0.0
        self._changed = asyncio.Event()
        self._next_batch = asyncio.Lock()
        self._has_spooled = asyncio.Event()
        self._is_closing = False
        self.lost = 0
        """Results given up: refused, or more than memory and disk could hold."""

    @property
    def waiting(self) -> int:
        """How many results the server does not have yet."""
        spooled = self._spool.waiting if self._spool is not None else 0
        return self._in_memory + spooled

    @property
    def has_room(self) -> bool:
        """Whether what comes in can be brought to the server."""
        return self._in_memory < ENOUGH_RESULTS

    async def wait_for_room(self) -> None:
        """Wait until the server has taken enough of the results."""
        await self._until(lambda: self.has_room)

    @property
    def _in_memory(self) -> int:
        return len(self._queue) + sum(map(len, self._under_way))

    def meet_server(self, *, is_legacy: bool) -> None:
        """Learn with whom we speak; nothing is reported before."""
        if self._is_legacy is None and self._spool is not None and self._spool.waiting:
            self._has_spooled.set()
        self._is_legacy = is_legacy
        self._changed.set()

    def add(self, results: Iterable[bytes]) -> None:
        """Queue results, each a JSON object; returns at once."""
        was_empty = not self._queue
        self._queue.extend(results)
        if len(self._queue) > MAX_QUEUED_RESULTS:
            self._forget_oldest()
        # Nobody waits for what lies between the first result and a full batch.
        if was_empty or len(self._queue) >= self._limit:
            self._changed.set()

    async def run(self) -> None:
        """Report until cancelled, or until all is done after `close`."""
        draining = asyncio.create_task(self._drain())
        couriers = [
            asyncio.create_task(self._carry(number)) for number in range(COURIERS)
        ]
        try:
            await asyncio.wait(couriers)
        finally:
            for task in (draining, *couriers):
                task.cancel()
            await asyncio.wait({draining, *couriers})

    async def _carry(self, number: int) -> None:
        """Bring batch after batch to the server."""
        while True:
            if number > 0 and self._takes_turns:
                await self._until(lambda: self._is_closing or not self._takes_turns)
                if self._is_closing:
                    return
            # One awaits the next batch: to wake all of them costs as much as a report.
            async with self._next_batch:
                if not await self._await_batch():
                    return
                is_spare = number > 0 and self._takes_turns
                batch = [] if is_spare else self._take()
            if batch:
                await self._try_deliver(batch)

    @property
    def _takes_turns(self) -> bool:
        """Whether reports go out one after the other."""
        return self._is_legacy is True or self._is_away

    def close(self) -> None:
        """Let `run` end when the queue is empty."""
        self._is_closing = True
        self._changed.set()

    async def save(self) -> None:
        """Put on disk what the server did not get before `run` was cancelled."""
        # Whether a 0.10.3 has got what was under way cannot be known.
        batches = [] if self._is_legacy else self._under_way
        rest = [*chain.from_iterable(batches), *self._queue]
        self._under_way = []
        self._queue.clear()
        if rest and not await self._store(rest):
            log.error("%d results are lost: they could not be saved", len(rest))

    async def _await_batch(self) -> bool:
        """Wait for a full batch, or for a part of one and some time; False: the end."""
        await self._until(lambda: bool(self._queue) or self._is_closing)
        await self._until(
            lambda: self._is_closing or len(self._queue) >= self._limit,
            timeout_s=BATCH_INTERVAL_S,
        )
        return not self._is_closing or (bool(self._queue) and not self._is_away)

    async def _until(
        self, holds: Callable[[], bool], *, timeout_s: float | None = None
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()

    @property
    def _limit(self) -> int:
        return MAX_LEGACY_RESULTS if self._is_legacy else MAX_REPORT_RESULTS

    @property
    def _is_away(self) -> bool:
        return self._backoff.failures > 0

    def _take(self) -> list[bytes]:
        queue, limit = self._queue, self._limit
        batch: list[bytes] = []
        size = 0
        while queue and len(batch) < limit:
            size += len(queue[0]) + 1
            if batch and size > MAX_BATCH_BYTES:
                break
            batch.append(queue.popleft())
        return batch

    def _forget_oldest(self) -> None:
        surplus = len(self._queue) - MAX_QUEUED_RESULTS
        if surplus <= 0:
            return
        for _ in range(surplus):
            self._queue.popleft()
        self.lost += surplus
        self._tell_lost()

    def _tell_lost(self) -> None:
        """Say how many are lost by now, but not for each of them."""
        now = self._clock.monotonic()
        if now >= self._tell_again_at:
            self._tell_again_at = now + TELL_INTERVAL_S
            log.error("%d results are lost by now: nowhere is room", self.lost)

    async def _try_deliver(self, batch: list[bytes]) -> None:
        try:
            await self._deliver(batch)
        except Exception:
            # The reporter goes on: without it the agent would work for nothing.
            log.exception("Could not report %d results", len(batch))
            self._note_pause(self._backoff.fail(longest_s=LONGEST_PAUSE_S))
            self._queue.extendleft(reversed(batch))
        # Not when cancelled: `save` takes it then.
        self._under_way = [other for other in self._under_way if other is not batch]
        self._changed.set()

    async def _deliver(self, batch: list[bytes]) -> None:
        self._under_way.append(batch)
        if self._is_away:
            if await self._store(batch):
                return
            await self._pause()
        await self._post_or_keep(batch)

    async def _post_or_keep(self, batch: list[bytes]) -> None:
        call = asyncio.create_task(self._post(batch))
        copy = None
        try:
            await asyncio.wait({call}, timeout=COPY_AFTER_S)
            if not call.done() and not self._is_legacy:
                copy = await self._write(batch)
            await call
        except ServerError as err:
            await self._keep(batch, err, is_kept=copy is not None)
        else:
            if copy is not None and self._spool is not None:
                await self._run_blocking(partial(self._spool.take_back, copy))
        finally:
            call.cancel()

    async def _keep(
        self, batch: list[bytes], err: ServerError, *, is_kept: bool
    ) -> None:
        if is_kept:
            self._has_spooled.set()
        elif not self._may_retry(err):
            self._give_up(len(batch))
        elif not await self._store(batch):
            self._queue.extendleft(reversed(batch))
            self._forget_oldest()
        self._note_failure(err)

    async def _post(self, batch: Sequence[bytes]) -> None:
        """Report a batch; of one that is refused, what can be reported.

        Raises ServerError when it should be tried again.
        """
        try:
            answer = await self._server.report(batch)
        except ReportRefused as err:
            if len(batch) == 1:
                self.lost += 1
                log.warning("Failed to post results: %s (one is given up)", err)
                return
            middle = len(batch) // 2
            await self._post(batch[:middle])
            await self._post(batch[middle:])
            return
        self._backoff.succeed()
        log_answer(answer)

    async def _drain(self) -> None:
        await self._until(lambda: self._is_legacy is not None)
        while self._spool is not None:
            await self._has_spooled.wait()
            await self._until(
                lambda: False, timeout_s=max(DRAIN_PAUSE_S, self._pause_s)
            )
            self._has_spooled.clear()
            batch = await self._peek(self._spool)
            if batch is not None:
                self._has_spooled.set()
                await self._try_deliver_spooled(self._spool, batch)

    async def _peek(self, spool: Spool) -> SpooledBatch | None:
        read = partial(
            spool.peek,
            limit=self._limit,
            limit_bytes=MAX_BATCH_BYTES,
            now=self._clock.utcnow(),
            max_age=LEGACY_SPOOL_AGE if self._is_legacy else None,
        )
        try:
            return await self._run_blocking(read)
        except OSError as err:
            log.error("Cannot read the spool: %s", err)  # noqa: TRY400  # no bug of ours
            self._note_pause(LONGEST_PAUSE_S)
            self._has_spooled.set()
            return None
        finally:
            self._tell_losses(spool)

    async def _try_deliver_spooled(self, spool: Spool, batch: SpooledBatch) -> None:
        try:
            await self._deliver_spooled(spool, batch)
        except Exception:
            # What is spooled stays there; the next attempt may go better.
            log.exception("Could not report spooled results")
            self._note_pause(self._backoff.fail(longest_s=LONGEST_PAUSE_S))

    async def _deliver_spooled(self, spool: Spool, batch: SpooledBatch) -> None:
        try:
            await self._post(batch.payloads)
        except ServerError as err:
            self._note_failure(err)
            if self._may_retry(err):
                return
            self._give_up(len(batch.payloads))
        await self._run_blocking(partial(spool.advance, batch))
        self._tell_losses(spool)

    async def _store(self, batch: Sequence[bytes]) -> bool:
        """Put results into the spool, to be delivered from there."""
        if await self._write(batch) is None:
            return False
        self._has_spooled.set()
        return True

    async def _write(self, batch: Sequence[bytes]) -> SpooledCopy | None:
        if self._spool is None:
            return None
        write = partial(self._spool.append, batch, now=self._clock.utcnow())
        try:
            return await self._run_blocking(write)
        except OSError as err:
            log.error("Cannot write to the spool: %s", err)  # noqa: TRY400  # no bug of ours
            return None

    def _may_retry(self, err: ServerError) -> bool:
        """A server of 0.10.3 stores, and judges, again what it gets again."""
        return err.is_unprocessed or not self._is_legacy

    def _give_up(self, count: int) -> None:
        self.lost += count
        log.error(
            "%d results may be lost: a server of 0.10 must not get them twice", count
        )

    def _note_failure(self, err: ServerError) -> None:
        needs_human = isinstance(err, TokenRefused | NotAnArgosServer)
        delay = self._backoff.fail(
            longest_s=REFUSED_PAUSE_S if needs_human else LONGEST_PAUSE_S,
            at_least_s=err.retry_after_s or 0.0,
        )
        log.error("Failed to post results: %s", err)
        self._note_pause(delay)

    def _note_pause(self, delay_s: float) -> None:
        log.info("Waiting %d seconds before next retry", round(delay_s))
        self._retry_at = self._clock.monotonic() + delay_s

    @property
    def _pause_s(self) -> float:
        return max(0.0, self._retry_at - self._clock.monotonic())

    async def _pause(self) -> None:
        await self._until(lambda: self._is_closing, timeout_s=self._pause_s)

    def _tell_losses(self, spool: Spool) -> None:
        losses = (spool.dropped, spool.unreadable)
        if losses != self._told:
            log.warning(
                "Of the spooled results %d were dropped as too old or too many, and %d"
                " were unreadable, since the agent started",
                *losses,
            )
        self._told = losses
