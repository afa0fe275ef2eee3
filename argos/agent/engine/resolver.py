"""Names to addresses, without threads: c-ares on the worker's own loop.

libcurl's resolver has 20 threads; a few dozen names on a dead name server would hold
all of them, and unrelated websites would look down. Here any number of lookups may
wait, and each ends with its own probe's deadline.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pycares

from argos.agent.engine.failure import one_line
from argos.agent.engine.poller import READ, WRITE
from argos.clock import Clock
from argos.core.probe import IPVersion

MAX_ADDRESSES = 16
"""Addresses of a name that are known, at most."""
MAX_NAME_SERVERS = 64
"""Of websites' own, for each of which a resolver is kept."""

_FAMILIES = {IPVersion.V4: socket.AF_INET, IPVersion.V6: socket.AF_INET6}
_NO_SORT = 1 << 7  # ARES_AI_NOSORT: else c-ares opens a socket per address to rank it
_TIMEOUT = 2.0
# c-ares waits as long as the name server's usual speed suggests, at first 0.25 s, then
# longer and longer: three tries, its default, would give a slow name up after 1.6 s;
# seven go on for 20 s.
_TRIES = 7

# c-ares keeps answers for as long as their TTL says, failures too. A new channel knows
# nothing of them, and reads the system's settings again.
_MAX_CHANNEL_AGE = 600.0
_MAX_FAILURE_AGE = 15.0


@dataclass(frozen=True, slots=True)
class Resolution:
    """The addresses of a name, or why there are none."""

    addresses: tuple[str, ...] = ()
    failure: str | None = None
    is_unasked: bool = False
    """No name server could be reached, so that the failure says nothing of the name."""


Waiter = Callable[[Resolution], None]
Key = tuple[str, IPVersion]


class Watcher(Protocol):
    """Has a loop watch a descriptor."""

    def __call__(self, fd: int, mask: int, process: Callable[[int, int], None]) -> None:
        """Call `process(fd, ready)` whenever it is ready; a mask of 0 ends that."""


class _Channel:
    """A c-ares channel on the loop, with the count of lookups that it owes."""

    def __init__(self, watch: Watcher, name_servers: tuple[str, ...]) -> None:
        self.pending = 0
        self._watch = watch
        self._fds: set[int] = set()
        self._ares = pycares.Channel(
            sock_state_cb=self._on_socket,
            servers=name_servers or None,
            timeout=_TIMEOUT,
            tries=_TRIES,
        )

    def _on_socket(self, fd: int, wants_read: bool, wants_write: bool) -> None:
        mask = (READ if wants_read else 0) | (WRITE if wants_write else 0)
        self._watch(fd, mask, self._process)
        if mask:
            self._fds.add(fd)
        else:
            self._fds.discard(fd)

    def _process(self, fd: int, ready: int) -> None:
        nothing = pycares.ARES_SOCKET_BAD
        self._ares.process_fd(
            fd if ready & READ else nothing, fd if ready & WRITE else nothing
        )

    def look_up(
        self, name: str, version: IPVersion, done: Callable[[object, int | None], None]
    ) -> None:
        self.pending += 1
        self._ares.getaddrinfo(
            name,
            None,
            family=_FAMILIES[version],
            type=socket.SOCK_STREAM,
            flags=_NO_SORT,
            callback=done,
        )

    def process_timeouts(self) -> None:
        self._ares.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)

    def patience(self) -> float:
        return float(self._ares.timeout())  # type: ignore[no-untyped-call]  # pycares has no types for it

    def close(self) -> None:
        for fd in self._fds:
            self._watch(fd, 0, self._process)
        self._fds.clear()
        self._ares.close()


class Resolver:
    """Looks names up; equal lookups under way share one answer."""

    def __init__(
        self, watch: Watcher, clock: Clock, *, name_servers: tuple[str, ...] = ()
    ) -> None:
        self._watch = watch
        self._clock = clock
        self._name_servers = name_servers
        self._channel: _Channel | None = None
        self._retired: list[_Channel] = []
        self._opened_at = 0.0
        self._failed_at: float | None = None
        self._waiters: dict[Key, list[Waiter]] = {}

    def resolve(self, name: str, version: IPVersion, waiter: Waiter) -> None:
        """Call `waiter` once, now or later, with the addresses of this IP version."""
        key = (name, version)
        if key in self._waiters:
            self._waiters[key].append(waiter)
            return
        self._waiters[key] = [waiter]
        channel = self._fresh_channel()
        channel.look_up(name, version, partial(self._on_answer, key, channel))

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._waiters

    def patience(self) -> float | None:
        """Seconds until `process_timeouts` wants to be called; None: not at all."""
        return min(
            (channel.patience() for channel in self._channels() if channel.pending),
            default=None,
        )

    def process_timeouts(self) -> None:
        """Ask again, or give up, where name servers did not answer."""
        for channel in self._channels():
            if channel.pending:
                channel.process_timeouts()
        for channel in [old for old in self._retired if not old.pending]:
            self._retired.remove(channel)
            channel.close()

    def close(self) -> None:
        """Stop; waiters hear nothing more."""
        self._waiters.clear()
        for channel in self._channels():
            channel.close()
        self._channel = None
        self._retired = []

    def _channels(self) -> list[_Channel]:
        current = [] if self._channel is None else [self._channel]
        return current + self._retired

    def _fresh_channel(self) -> _Channel:
        now = self._clock.monotonic()
        is_stale = now - self._opened_at > _MAX_CHANNEL_AGE or (
            self._failed_at is not None and now - self._failed_at > _MAX_FAILURE_AGE
        )
        if self._channel is not None and not is_stale:
            return self._channel
        if self._channel is not None:
            self._retired.append(self._channel)
        self._channel = _Channel(self._watch, self._name_servers)
        self._opened_at = now
        self._failed_at = None
        return self._channel

    def _on_answer(
        self, key: Key, channel: _Channel, answer: object, error: int | None
    ) -> None:
        channel.pending -= 1
        resolution = _read_answer(*key, answer, error)
        if resolution.failure is not None and self._failed_at is None:
            self._failed_at = self._clock.monotonic()
        for waiter in self._waiters.pop(key, []):
            waiter(resolution)


class Resolvers:
    """The agent's resolver, and one for each name server that websites bring along.

    Each has channels of its own: a dead name server delays nobody else.
    """

    def __init__(
        self, watch: Watcher, clock: Clock, *, name_servers: tuple[str, ...] = ()
    ) -> None:
        self._watch = watch
        self._clock = clock
        self._default = Resolver(watch, clock, name_servers=name_servers)
        self._own: dict[str, Resolver] = {}
        self.resolve = self._default.resolve
        """As the agent's name servers say."""

    def of(self, name_server: str) -> Resolver:
        """The resolver that asks this server."""
        resolver = self._own.get(name_server)
        if resolver is None:
            if len(self._own) >= MAX_NAME_SERVERS:
                self._forget_idle()
            resolver = Resolver(self._watch, self._clock, name_servers=(name_server,))
            self._own[name_server] = resolver
        return resolver

    def patience(self) -> float | None:
        """Seconds until `process_timeouts` wants to be called; None: not at all."""
        if not self._own:
            return self._default.patience()
        times = (each.patience() for each in (self._default, *self._own.values()))
        return min((time for time in times if time is not None), default=None)

    def process_timeouts(self) -> None:
        """Ask again, or give up, where name servers did not answer."""
        self._default.process_timeouts()
        for resolver in self._own.values():
            resolver.process_timeouts()

    def close(self) -> None:
        """Stop; waiters hear nothing more."""
        for resolver in (self._default, *self._own.values()):
            resolver.close()
        self._own.clear()

    def _forget_idle(self) -> None:
        for name_server, resolver in list(self._own.items()):
            if resolver.is_idle:
                del self._own[name_server]
                resolver.close()


def _read_answer(
    name: str, version: IPVersion, answer: object, error: int | None
) -> Resolution:
    if error is not None:
        # So c-ares calls it, too, that there is no descriptor or no route.
        is_unasked = error == pycares.errno.ARES_ECONNREFUSED
        return Resolution((), _describe(name, version, error), is_unasked)
    assert isinstance(answer, pycares.AddrInfoResult)
    found = [
        node.addr[0].decode("ascii")
        for node in answer.nodes
        if node.family == _FAMILIES[version]
    ]
    # A name may list an address twice (and c-ares gives one per socket type).
    addresses = tuple(dict.fromkeys(found))[:MAX_ADDRESSES]
    if not addresses:
        return Resolution(failure=f"{name} has no IPv{version} address.")
    return Resolution(addresses)


def _describe(name: str, version: IPVersion, error: int) -> str:
    errno = pycares.errno
    if error == errno.ARES_ENOTFOUND:
        return f"The name {name} does not exist."
    if error == errno.ARES_ENODATA:
        return f"{name} has no IPv{version} address."
    if error in {errno.ARES_ETIMEOUT, errno.ARES_ECONNREFUSED}:
        return f"The name servers did not answer when asked for {name}."
    reason = one_line(str(pycares.errno.strerror(error)))
    return f"The name servers could not tell the address of {name}: {reason}."
