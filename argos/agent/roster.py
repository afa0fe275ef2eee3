"""The task groups that an agent has in hand: each begins at its moment."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from argos.agent.probing import ProbeGroup
from argos.agent.slots import Slots
from argos.clock import Clock
from argos.protocol import HeldLease


# No dataclass, which takes longer to make: there is one for each probe.
class Assignment(msgspec.Struct, frozen=True, eq=False):
    """A probe to make under a lease, and when that lease arrived."""

    group: ProbeGroup
    received_at: float
    """By the monotonic clock."""

    @property
    def due_at(self) -> float:
        """By the monotonic clock."""
        return self.received_at + self.group.tasks[0].due_in_s

    @property
    def lease(self) -> HeldLease | None:
        task = self.group.tasks[0]
        if task.group_id is None or task.lease_no is None:
            return None
        return HeldLease(group_id=task.group_id, lease_no=task.lease_no)


class Roster:
    """Begins assignments when they are due and a slot is free, in that order."""

    def __init__(
        self, slots: Slots, *, clock: Clock, begin: Callable[[Assignment], object]
    ) -> None:
        self.slots = slots
        self._clock = clock
        self._begin = begin
        self._upcoming: dict[Assignment, asyncio.TimerHandle] = {}
        self._ready: deque[Assignment] = deque()
        self._changed = asyncio.Event()
        self._awaited = 0
        """How many task groups somebody waits to be wanted."""
        self._aging: asyncio.TimerHandle | None = None
        self._is_stopped = False

    @property
    def wanted(self) -> int:
        """How many more task groups can be taken on.

        What is not due yet needs no slot, and is bounded for itself.
        """
        at_once = self.slots.free - len(self._ready)
        return min(at_once, self.slots.count - len(self._upcoming))

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Take assignments on; those that are due begin as far as slots are free."""
        now = self._clock.monotonic()
        loop = asyncio.get_running_loop()
        for assignment in assignments:
            delay = assignment.due_at - now
            if delay > 0:
                timer = loop.call_later(delay, self._fall_due, assignment)
                self._upcoming[assignment] = timer
            else:
                self._ready.append(assignment)
        self._begin_ready()

    def end(self, assignment: Assignment) -> None:
        """An assignment that was begun is over."""
        self.slots.end(assignment)
        self._begin_ready()
        self._tell_if_wanted()

    def stop(self) -> None:
        """Begin nothing more."""
        self._is_stopped = True
        self._changed.set()

    def take_unused(self) -> list[Assignment]:
        """What was not begun, and is not to begin any more."""
        for timer in self._upcoming.values():
            timer.cancel()
        if self._aging is not None:
            self._aging.cancel()
        unused = [*self._upcoming, *self._ready]
        self._upcoming.clear()
        self._ready.clear()
        return unused

    async def until_wanted(self, count: int) -> None:
        """Wait until so many task groups are wanted, or none any more."""
        # Not woken by each end: that would cost more than to make a probe.
        self._awaited = count
        while (missing := count - self.wanted) > 0 and not self._is_stopped:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.slots.free_in_s(missing)):
                    await self._changed.wait()

    def _fall_due(self, assignment: Assignment) -> None:
        del self._upcoming[assignment]
        self._ready.append(assignment)
        self._begin_ready()
        self._tell_if_wanted()

    def _tell_if_wanted(self) -> None:
        if not self._changed.is_set() and self.wanted >= self._awaited:
            self._changed.set()

    def _begin_ready(self) -> None:
        if self._is_stopped:
            return
        while self._ready and self.slots.free > 0:
            assignment = self._ready.popleft()
            self.slots.begin(assignment)
            self._begin(assignment)
        if not self._ready or self._aging is not None:
            return
        delay = self.slots.free_in_s()
        if delay is not None:
            self._aging = asyncio.get_running_loop().call_later(delay, self._age)

    def _age(self) -> None:
        self._aging = None
        self._begin_ready()
