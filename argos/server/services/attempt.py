"""Attempts to send, each with a deadline that nothing escapes.

What a library does, or the lookup of a name, cannot be cut off from outside. So an attempt
has a thread of its own, which is left to itself once its time is over: it harms nobody
but its own recipient, who is not tried again while too many such threads live.
"""

import contextlib
import logging
import threading
from collections.abc import Callable

from argos.channels import Channel, Notice
from argos.errors import DeliveryError

log = logging.getLogger(__name__)

TOTAL_TIMEOUT_S = 20.0
MAX_HANGING = 3
"""So many attempts at one recipient may hang at once."""

Open = Callable[[], Channel]


def stumbled(err: Exception) -> str:
    """What is said of a bug; its own words may hold what nobody should read."""
    return f"The channel stumbled ({type(err).__name__}); the server's log says where."


class Attempts:
    """Makes attempts; a recipient's channel stays open from one to the next."""

    def __init__(self, timeout_s: float = TOTAL_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._channels: dict[str, Channel] = {}
        self._hanging: dict[str, list[threading.Thread]] = {}

    def send(self, recipient: str, open_channel: Open, notice: Notice) -> None:
        """Send a notice; raises what the channel raises, and DeliveryError in time."""
        self._refuse_if_hanging(recipient)
        attempt = _Attempt(self._take(recipient), open_channel, notice)
        thread = threading.Thread(
            target=attempt.run, name=f"send-{recipient}", daemon=True
        )
        thread.start()
        if not attempt.wait(self._timeout_s):
            with self._lock:
                self._hanging.setdefault(recipient, []).append(thread)
            raise DeliveryError(f"The attempt took longer than {self._timeout_s:g} s.")
        if attempt.error is not None:
            attempt.close()
            raise attempt.error
        if attempt.channel is not None:
            with self._lock:
                self._channels[recipient] = attempt.channel

    def _refuse_if_hanging(self, recipient: str) -> None:
        with self._lock:
            threads = self._hanging.pop(recipient, [])
            alive = [thread for thread in threads if thread.is_alive()]
            if alive:
                self._hanging[recipient] = alive
        if len(alive) >= MAX_HANGING:
            raise DeliveryError(
                f"{len(alive)} earlier attempts hang, so that no other is made.",
                is_unsent=True,
            )

    def _take(self, recipient: str) -> Channel | None:
        with self._lock:
            return self._channels.pop(recipient, None)

    def close(self, recipient: str) -> None:
        """Close a recipient's channel."""
        channel = self._take(recipient)
        if channel is not None:
            channel.close()


class _Attempt:
    """One attempt, in its thread; its channel is its own until it is over."""

    def __init__(
        self, channel: Channel | None, open_channel: Open, notice: Notice
    ) -> None:
        self.channel = channel
        self.error: Exception | None = None
        self._open_channel = open_channel
        self._notice = notice
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_abandoned = False

    def run(self) -> None:
        """What the thread does."""
        try:
            if self.channel is None:
                self.channel = self._open_channel()
            self.channel.send(self._notice)
        except Exception as err:  # noqa: BLE001  # it is raised where the attempt was begun
            self.error = err
        with self._lock:
            self._is_over.set()
            is_abandoned = self._is_abandoned
        if is_abandoned:
            self.close()

    def wait(self, timeout_s: float) -> bool:
        """Whether the attempt is over in time; otherwise it is left to itself."""
        if self._is_over.wait(timeout_s):
            return True
        with self._lock:
            self._is_abandoned = not self._is_over.is_set()
            return not self._is_abandoned

    def close(self) -> None:
        """Close the channel, whatever state it is in."""
        channel, self.channel = self.channel, None
        if channel is not None:
            with contextlib.suppress(Exception):
                channel.close()
