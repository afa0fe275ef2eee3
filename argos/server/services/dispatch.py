"""Send what waits to be sent: each recipient in a lane of its own.

A delivery is claimed by one statement, sent, and marked sent only then. A crash in
between repeats it at most once, with the same message id.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from argos.channels import Channel, get_channel
from argos.clock import Clock
from argos.core.text import cut, visible
from argos.errors import DatabaseError, DeliveryError
from argos.schemas import Config
from argos.server.database import Database
from argos.server.models import DeliveryState
from argos.server.queries import deliveries as queries
from argos.server.queries.deliveries import Claim, ClaimedDelivery, Finish
from argos.server.services.notice import notice_of

log = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=1)
CLAIM_INTERVAL = timedelta(minutes=5)
"""Longer than any attempt may take; then somebody else may try."""
FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(minutes=1)
"""How long a recipient rests at most whose channel fails again and again."""
HORIZON = timedelta(days=1)
"""What could not be sent for so long is given up."""
JITTER = 0.2
MAX_LANES = 32
_MAX_ERROR_LENGTH = 500


OpenChannel = Callable[[str, Any], Channel]
"""Opens the channel of a recipient by what the config's section `general` says."""


def open_channel(recipient: str, general: Any) -> Channel:
    """The channel that the config has for a recipient, with its connection."""
    return get_channel(recipient).open(general, recipient.partition(":")[2])


def retry_delay(attempts: int, rng: Random) -> timedelta:
    """How long to wait after so many failed attempts, so that not all come at once."""
    doubled = FIRST_DELAY * (1 << min(attempts - 1, 20))
    return min(doubled, LONGEST_DELAY) * rng.uniform(1 - JITTER, 1 + JITTER)


@dataclass(frozen=True, slots=True)
class Means:
    """What the dispatcher works with."""

    database: Database
    clock: Clock
    rng: Random
    get_config: Callable[[], Config]
    holder: str
    """Names this process in its claims."""
    open_channel: OpenChannel = open_channel


class Dispatcher:
    """A thread that looks for deliveries which are due, and starts lanes for them."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._lanes: dict[str, threading.Thread] = {}
        self._rests: dict[str, _Rest] = {}
        self._thread = threading.Thread(
            target=self._run, name="dispatcher", daemon=True
        )

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End; an attempt that hangs is left to its claim's end."""
        self._stop.set()
        self._thread.join(timeout_s)
        for lane in list(self._lanes.values()):
            lane.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except DatabaseError as err:
                log.warning("Nothing can be sent now: %s", err)
            except Exception:  # the thread must outlive whatever happens
                log.exception("The dispatcher stumbled.")
            self._stop.wait(LOOK_INTERVAL.total_seconds())

    def look(self) -> None:
        """Start a lane for each recipient that has something due and none yet."""
        now = self._means.clock.utcnow()
        with self._means.database.reading() as session:
            recipients = queries.list_due_recipients(session, now=now)
        for recipient in recipients:
            self._start_lane(recipient, now=now)

    def _start_lane(self, recipient: str, *, now: datetime) -> None:
        with self._lock:
            rest = self._rests.get(recipient)
            is_resting = rest is not None and rest.until > now
            if recipient in self._lanes or is_resting or len(self._lanes) >= MAX_LANES:
                return
            lane = threading.Thread(
                target=self._run_lane,
                args=[recipient],
                name=f"dispatch-{recipient}",
                daemon=True,
            )
            self._lanes[recipient] = lane
        lane.start()

    def _run_lane(self, recipient: str) -> None:
        try:
            self.run_lane(recipient)
        except DatabaseError as err:
            log.warning("Nothing can be sent to %s now: %s", recipient, err)
        except Exception:  # a channel's bug must not end the others' lanes
            log.exception("Sending to %s stumbled.", recipient)
        finally:
            with self._lock:
                del self._lanes[recipient]

    def run_lane(self, recipient: str) -> None:
        """Send what is due to a recipient, until there is nothing, or it fails."""
        lane = _Lane(self._means, recipient)
        try:
            while not self._stop.is_set() and lane.attempt():
                pass
        finally:
            lane.close()
            self._note_rest(lane)

    def _note_rest(self, lane: "_Lane") -> None:
        now = self._means.clock.utcnow()
        with self._lock:
            rest = self._rests.pop(lane.recipient, None)
            if lane.has_failed:
                failures = 1 + (rest.failures if rest and not lane.has_sent else 0)
                pause = min(retry_delay(failures, self._means.rng), LONGEST_PAUSE)
                self._rests[lane.recipient] = _Rest(failures, now + pause)


@dataclass(frozen=True, slots=True)
class _Rest:
    """A recipient whose channel failed is left alone for a while."""

    failures: int
    until: datetime


class _Lane:
    """Deliveries to one recipient, one after the other, over one channel."""

    def __init__(self, means: Means, recipient: str) -> None:
        self.recipient = recipient
        self.has_failed = False
        self.has_sent = False
        self._means = means
        self._channel: Channel | None = None

    def attempt(self) -> bool:
        """Claim a delivery and try to send it; whether to go on with the next."""
        now = self._means.clock.utcnow()
        with self._means.database.transaction() as session:
            claim = queries.claim_delivery(
                session,
                recipient=self.recipient,
                holder=self._means.holder,
                now=now,
                until=now + CLAIM_INTERVAL,
            )
            delivery = claim and queries.get_claimed(session, claim=claim)
        if claim is None or delivery is None:
            return False
        end = self._send(delivery, claim)
        with self._means.database.transaction() as session:
            is_ours = queries.finish_claim(
                session, claim=claim, holder=self._means.holder, end=end
            )
        if not is_ours:
            log.warning("Delivery %s took longer than its claim.", claim.id)
        return not self.has_failed

    def _send(self, delivery: ClaimedDelivery, claim: Claim) -> Finish:
        config = self._means.get_config()
        try:
            notice = notice_of(delivery, base_url=config.general.base_url)
            self._open(config).send(notice)
        except DeliveryError as err:
            return self._failed(delivery, claim, err)
        except Exception as err:  # a channel's bug is a failed attempt
            log.exception("The channel of %s stumbled.", self.recipient)
            return self._failed(delivery, claim, DeliveryError(repr(err)))
        self.has_sent = True
        now = self._means.clock.utcnow()
        return Finish(DeliveryState.SENT, due_at=now, sent_at=now)

    def _open(self, config: Config) -> Channel:
        if self._channel is None:
            self._channel = self._means.open_channel(self.recipient, config.general)
        return self._channel

    def _failed(
        self, delivery: ClaimedDelivery, claim: Claim, err: DeliveryError
    ) -> Finish:
        now = self._means.clock.utcnow()
        due_at = now + retry_delay(claim.attempts, self._means.rng)
        reason = cut(visible(str(err)), _MAX_ERROR_LENGTH)
        if err.permanent or due_at > delivery.created_at + HORIZON:
            log.error(
                "Gave up delivery %s to %s after attempt %s: %s",
                claim.id, self.recipient, claim.attempts, reason,
            )  # fmt: skip
            return Finish(DeliveryState.DEAD, due_at=now, last_error=reason)
        self.has_failed = True
        log.warning(
            "Delivery %s to %s failed, next attempt at %s: %s",
            claim.id, self.recipient, due_at.isoformat(timespec="seconds"), reason,
        )  # fmt: skip
        return Finish(DeliveryState.WAITING, due_at=due_at, last_error=reason)

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()
