"""Waiting for sockets, with as little between the loop and the kernel as there can be.

The masks are libcurl's (`CURL_CSELECT_IN`, `CURL_CSELECT_OUT`).
"""

import select
import selectors
import sys
from typing import Protocol

READ = 1
WRITE = 2
_BOTH = READ | WRITE
"""What there is of it in libcurl's word for "no longer" (CURL_POLL_REMOVE): nothing."""


class Poller(Protocol):
    """Watches descriptors."""

    def watch(self, fd: int, mask: int) -> None:
        """Watch for READ, WRITE or both; 0: no longer."""

    def on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        """The same, as libcurl says it (its socket callback)."""

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """Wait at most `timeout` seconds; each ready descriptor with its mask.

        All that are ready come at once: what a short list leaves out would wait in
        the kernel, unseen by the log of stalls.
        """

    def close(self) -> None:
        """Watch nothing any more."""


if sys.platform == "linux":
    _OUT = select.EPOLLOUT
    _EVENTS = (0, select.EPOLLIN, _OUT, select.EPOLLIN | _OUT)

    class EpollPoller:
        """Bare epoll, cheaper by a tenth of a plain check than `selectors`."""

        _MAX_EVENTS = 16384

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._masks: dict[int, int] = {}

        def on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
            self.watch(fd, what & _BOTH)

        def watch(self, fd: int, mask: int) -> None:
            known = self._masks.get(fd, 0)
            if mask == known:
                return
            if not mask:
                # Nearly always it is about to be closed, which makes the kernel forget
                # it; where it is not, `poll` sees to it.
                del self._masks[fd]
                return
            self._masks[fd] = mask
            if known:
                self._epoll.modify(fd, _EVENTS[mask])
                return
            try:
                self._epoll.register(fd, _EVENTS[mask])
            except FileExistsError:
                self._epoll.modify(fd, _EVENTS[mask])

        def poll(self, timeout: float) -> list[tuple[int, int]]:
            masks = self._masks
            ready = []
            for fd, events in self._epoll.poll(timeout, self._MAX_EVENTS):
                if fd in masks:
                    # Trouble (EPOLLERR, EPOLLHUP) shows when the socket is read.
                    out = WRITE if events & _OUT else 0
                    ready.append((fd, out | READ if events & ~_OUT else out))
                else:
                    self._epoll.unregister(fd)
            return ready

        def close(self) -> None:
            self._epoll.close()


class SelectorPoller:
    """The standard library's best selector, where there is no epoll."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._masks: dict[int, int] = {}

    def watch(self, fd: int, mask: int) -> None:
        known = self._masks.get(fd, 0)
        if mask == known:
            return
        events = (selectors.EVENT_READ if mask & READ else 0) | (
            selectors.EVENT_WRITE if mask & WRITE else 0
        )
        if not mask:
            del self._masks[fd]
            self._selector.unregister(fd)
            return
        if known:
            self._selector.modify(fd, events)
        else:
            self._selector.register(fd, events)
        self._masks[fd] = mask

    def on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        self.watch(fd, what & _BOTH)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        return [
            (
                key.fd,
                (READ if events & selectors.EVENT_READ else 0)
                | (WRITE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in self._selector.select(timeout)
        ]

    def close(self) -> None:
        self._selector.close()


def make_poller() -> Poller:
    """The best poller of this machine."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()
