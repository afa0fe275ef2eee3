"""Send what waits to be sent: each recipient in a lane of its own.

What goes into a message is written down before it is claimed and sent, and it is marked
sent only once the other side has taken it. A crash in between repeats it at most once,
with the same id.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from argos.channels import Channel, open_channel, recipient_name
from argos.clock import Clock
from argos.core.grouping import Rhythm, Waiting, decide, window_end
from argos.core.severity import Severity
from argos.core.text import cut, visible
from argos.errors import DatabaseError, DeliveryError, UnknownRecipient
from argos.schemas import Config
from argos.server.columns import from_epoch_us, to_epoch_us
from argos.server.database import Database, Session
from argos.server.models import DeliveryState, DeliveryTarget
from argos.server.queries import deliveries as queries, lanes
from argos.server.queries.deliveries import Claim, ClaimedDelivery, Finish
from argos.server.services.attempt import TOTAL_TIMEOUT_S, Attempts, stumbled
from argos.server.services.giving_up import is_patient_recipient, tell_undelivered
from argos.server.services.message import message_of, wording_for

log = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=1)
CLAIM_INTERVAL = timedelta(minutes=1)
"""Longer than any attempt may take; then somebody else may try."""
FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(minutes=1)
"""How long a recipient rests at most whose channel fails again and again."""
TAKE_OVER_INTERVAL = timedelta(minutes=10)
"""So long it may take until all servers have taken over a new config."""
HORIZON = timedelta(days=1)
"""What could not be sent for so long is given up."""
JITTER = 0.2
MAX_LANES = 32
MAX_TOGETHER = 5_000
"""So many notices go into one message at most."""
_MAX_ERROR_LENGTH = 500

OpenChannel = Callable[[str, Any], Channel]
"""Opens the channel of a recipient by what the config's section `general` says."""


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
    attempt_timeout_s: float = TOTAL_TIMEOUT_S


class Dispatcher:
    """A thread that looks for deliveries which are due, and starts lanes for them."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._lanes: dict[str, threading.Thread] = {}
        self._attempts = Attempts(means.attempt_timeout_s)
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
            self._start_lane(recipient)

    def _start_lane(self, recipient: str) -> None:
        with self._lock:
            if recipient in self._lanes or len(self._lanes) >= MAX_LANES:
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
            log.warning(
                "Nothing can be sent to %s now: %s", recipient_name(recipient), err
            )
        except Exception:  # a channel's bug must not end the others' lanes
            log.exception("Sending to %s stumbled.", recipient_name(recipient))
        finally:
            with self._lock:
                del self._lanes[recipient]

    def run_lane(self, recipient: str) -> None:
        """Send what is due to a recipient, until there is nothing, or it fails."""
        lane = _Lane(self._means, self._attempts, recipient)
        try:
            while not self._stop.is_set() and lane.attempt():
                pass
        finally:
            self._attempts.close(recipient)


class _Lane:
    """Messages to one recipient, one after the other, over one channel."""

    def __init__(self, means: Means, attempts: Attempts, recipient: str) -> None:
        self._recipient = recipient
        self._means = means
        self._attempts = attempts
        self._claimed_s = 0.0

    def attempt(self) -> bool:
        """Claim a message and try to send it; whether to go on with the next."""
        self._claimed_s = self._means.clock.monotonic()
        with self._means.database.transaction() as session:
            claim = self._claim(session)
            if claim is None:
                return False
            deliveries = queries.list_claimed(session, claim=claim)
            if not deliveries:
                return True  # it went with its tasks
            references = queries.list_references(
                session,
                recipient=self._recipient,
                incident_ids={
                    delivery.incident_id
                    for delivery in deliveries
                    if delivery.incident_id is not None
                },
            )
        return self._send(claim, deliveries, references)

    def _claim(self, session: Session) -> Claim | None:
        """Decide what goes into messages when there is none yet, and take the next."""
        now = self._means.clock.utcnow()
        target = queries.lock_target(session, recipient=self._recipient)
        if target.next_at is not None and target.next_at > now and target.failures:
            return None
        batch_id = lanes.find_due_message(session, recipient=self._recipient, now=now)
        if batch_id is None:
            pending = lanes.list_pending(
                session, recipient=self._recipient, now=now, limit=MAX_TOGETHER
            )
            batch_id = self._flush(session, target, pending, now=now)
        if batch_id is None:
            return None
        return queries.claim_message(
            session,
            batch_id=batch_id,
            recipient=self._recipient,
            holder=self._means.holder,
            until=now + CLAIM_INTERVAL,
        )

    def _flush(
        self,
        session: Session,
        target: DeliveryTarget,
        pending: list[Waiting],
        *,
        now: datetime,
    ) -> str | None:
        """Put what is pending into messages; returns the first one's id."""
        told_at = tuple(from_epoch_us(moment) for moment in target.told_at or ())
        rhythm = Rhythm(told_at, target.was_digest)
        is_patient = is_patient_recipient(self._recipient, self._means.get_config())
        flush = decide(pending, rhythm, now=now, is_patient=is_patient)
        if flush is None:
            # Whatever is pending now waits for the window's end; nothing else does.
            target.next_at = window_end(rhythm, now=now) if pending else None
            return None
        by_id = {one.id: one for one in pending}
        batch_ids = []
        for ids in flush.messages:
            # A digest that was refused may be followed by one with the same beginning.
            first = by_id[ids[0]].message_id
            is_digest = len(ids) > 1
            stamp = f".{to_epoch_us(now):x}.{len(ids)}" if is_digest else ""
            batch_ids.append(first + stamp)
            queries.put_into_message(session, ids=ids, batch_id=batch_ids[-1])
        target.told_at = [to_epoch_us(moment) for moment in flush.rhythm.told_at]
        target.was_digest = flush.rhythm.was_digest
        return batch_ids[0]

    def _send(
        self, claim: Claim, deliveries: list[ClaimedDelivery], references: list[str]
    ) -> bool:
        config = self._means.get_config()
        general = config.general
        try:
            notice = message_of(
                deliveries,
                batch_id=claim.batch_id,
                references=[id_ for id_ in references if id_ != claim.batch_id],
                wording=wording_for(self._recipient, config),
            )
            self._refuse_late_start(claim)
            self._attempts.send(
                self._recipient,
                lambda: self._means.open_channel(self._recipient, general),
                notice,
            )
        except UnknownRecipient as err:
            return self._failed(claim, deliveries, self._believe(err, deliveries))
        except DeliveryError as err:
            return self._failed(claim, deliveries, err)
        except Exception as err:  # a channel's bug is a failed attempt
            log.exception(
                "The channel of %s stumbled.", recipient_name(self._recipient)
            )
            error = DeliveryError(stumbled(err), is_of_content=True)
            return self._failed(claim, deliveries, error)
        return self._sent(claim)

    def _believe(
        self, err: UnknownRecipient, deliveries: list[ClaimedDelivery]
    ) -> DeliveryError:
        """Believe only after a while that there is no such recipient.

        Another server may have taken over a newer config, which has it.
        """
        # Whoever knew it would have sent the oldest by now.
        oldest = min(one.created_at for one in deliveries)
        if self._means.clock.utcnow() - oldest >= TAKE_OVER_INTERVAL:
            return err
        return DeliveryError(str(err), is_unsent=True)

    def _refuse_late_start(self, claim: Claim) -> None:
        """Begin no attempt that may outlast its claim: this process was stopped."""
        clock = self._means.clock
        # The wall clock may have been set back, the other one stands while a machine sleeps.
        passed = timedelta(seconds=clock.monotonic() - self._claimed_s)
        left = min(claim.until - clock.utcnow(), CLAIM_INTERVAL - passed)
        if left < timedelta(seconds=self._means.attempt_timeout_s):
            raise DeliveryError("There was no time left to send it.", is_unsent=True)

    def _sent(self, claim: Claim) -> bool:
        now = self._means.clock.utcnow()
        end = Finish(DeliveryState.SENT, due_at=now, sent_at=now)
        with self._means.database.transaction() as session:
            target = queries.lock_target(session, recipient=self._recipient)
            if self._finish(session, claim, end) and target.failures:
                queries.bring_forward(session, recipient=self._recipient, now=now)
            target.sent_at, target.failures = now, 0
            target.next_at = target.last_error = None
            target.is_given_up = False
        return True

    def _failed(
        self, claim: Claim, deliveries: list[ClaimedDelivery], err: DeliveryError
    ) -> bool:
        """Note a failed attempt; whether to go on with the next message."""
        now = self._means.clock.utcnow()
        reason = cut(visible(str(err)), _MAX_ERROR_LENGTH)
        is_split = err.permanent and err.is_of_content and len(deliveries) > 1
        end = self._end_of_failure(claim, err, reason, is_split=is_split)
        dead = _given_up(deliveries, end)
        with self._means.database.transaction() as session:
            target = queries.lock_target(session, recipient=self._recipient)
            is_ours = self._finish(session, claim, end)
            if is_ours and is_split:
                self._split(session, claim, deliveries)
            # Whoever was taken out of the config need not hear that all is well again.
            is_missed = not isinstance(err, UnknownRecipient) or any(
                one.severity is not Severity.OK for one in dead
            )
            if is_ours and dead and is_missed and not target.is_given_up:
                target.is_given_up = True
                self._tell_others(session, dead, reason, now=now)
            target.failed_at, target.last_error = now, reason
            if not (err.permanent or err.is_of_content):
                target.failures += 1
                target.next_at = self._rest_until(target.failures, err, now=now)
        log.log(
            logging.ERROR if dead else logging.WARNING,
            "%s message %s to %s after attempt %s: %s",
            "Gave up" if dead else "Could not send",
            claim.batch_id, recipient_name(self._recipient), claim.attempts, reason,
        )  # fmt: skip
        return err.permanent or err.is_of_content

    def _tell_others(
        self,
        session: Session,
        dead: list[ClaimedDelivery],
        reason: str,
        *,
        now: datetime,
    ) -> None:
        config = self._means.get_config()
        tell_undelivered(session, dead, reason=reason, config=config, now=now)

    def _split(
        self, session: Session, claim: Claim, deliveries: list[ClaimedDelivery]
    ) -> None:
        """Tell in two messages what is refused in one, so that only the bad part is."""
        half = len(deliveries) // 2
        for name, part in (("a", deliveries[:half]), ("b", deliveries[half:])):
            queries.put_into_message(
                session,
                ids=[delivery.id for delivery in part],
                batch_id=f"{claim.batch_id}{name}",
            )

    def _end_of_failure(
        self, claim: Claim, err: DeliveryError, reason: str, *, is_split: bool
    ) -> Finish:
        now = self._means.clock.utcnow()
        if is_split:
            return Finish(DeliveryState.WAITING, due_at=now, last_error=reason)
        if err.permanent:
            return Finish(DeliveryState.DEAD, due_at=now, last_error=reason)
        due_at = now + retry_delay(claim.attempts, self._means.rng)
        if err.retry_after_s is not None:
            due_at = max(due_at, now + timedelta(seconds=err.retry_after_s))
        return Finish(
            DeliveryState.WAITING,
            due_at=due_at,
            last_error=reason,
            is_open=err.is_unsent,
            dead_before=due_at - HORIZON,
        )

    def _rest_until(
        self, failures: int, err: DeliveryError, *, now: datetime
    ) -> datetime:
        """Until when the recipient is left alone, whose channel fails."""
        pause = min(retry_delay(failures, self._means.rng), LONGEST_PAUSE)
        if err.retry_after_s is not None:
            pause = max(pause, timedelta(seconds=err.retry_after_s))
        return now + pause

    def _finish(self, session: Session, claim: Claim, end: Finish) -> bool:
        is_ours = queries.finish_claim(session, claim=claim, end=end)
        if not is_ours:
            log.warning("Message %s took longer than its claim.", claim.batch_id)
        return is_ours


def _given_up(deliveries: list[ClaimedDelivery], end: Finish) -> list[ClaimedDelivery]:
    """Those of a message's deliveries that are not tried again."""
    if end.state is DeliveryState.DEAD:
        return deliveries
    before = end.dead_before
    return [one for one in deliveries if before is not None and one.created_at < before]
