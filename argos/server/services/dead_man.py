"""The ping to an outside address that has to be earned: when it stops, Argos is broken.

Whoever gets it alarms when it does not come. It goes out only while this server can
write to its database, work is done in time, notices are delivered, and an agent is
there; each of these, once broken, stops it within 90 seconds.
"""

import logging
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from argos.channels.http import HttpSender
from argos.errors import DeliveryError
from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries import duties, leases, soundness
from argos.server.services.overdue import PATIENCE, served_pools
from argos.server.services.upkeep import Work

log = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=15)
PING_TIMEOUT_S = 5.0
DUTY = "dead-man"


class Pinger(Protocol):
    """Calls an address."""

    def get(self, url: str) -> None:
        """Raises DeliveryError unless the answer is a success."""

    def close(self) -> None:
        """Close the connections."""


def open_pinger() -> Pinger:
    """What calls the address in real life."""
    return HttpSender(attempt_timeout_s=PING_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Soundness:
    """How well the watching goes."""

    has_agents: bool
    work_due_at: datetime | None
    """Of the task group that waits for the longest time."""
    notice_due_at: datetime | None
    """Since when a notice should be delivered that is not."""


@dataclass(frozen=True, slots=True)
class PingState:
    """How the ping goes."""

    host: str
    """Whom it is for; the rest of the address is a secret."""
    pinged_at: datetime | None
    trouble: str
    """Why it does not go out; empty: it does."""


def read_state(session: Session, config: Config) -> PingState | None:
    """How the ping goes; None: the config asks for none."""
    settings = config.general.dead_man
    if settings is None:
        return None
    note = duties.get_note(session, name=DUTY) or {}
    pinged_s = note.get("pinged_at")
    return PingState(
        host=urlsplit(settings.url.get_secret_value()).hostname or "",
        pinged_at=None if pinged_s is None else datetime.fromtimestamp(pinged_s, UTC),
        trouble=note.get("trouble", ""),
    )


def find_doubts(sound: Soundness, *, now: datetime) -> list[str]:
    """Why the ping is not earned; empty: it is."""
    doubts = []
    if not sound.has_agents:
        doubts.append("no agent is there")
    if sound.work_due_at is not None and now - sound.work_due_at > PATIENCE:
        late_s = (now - sound.work_due_at).total_seconds()
        doubts.append(f"task groups are due since {late_s:.0f} s")
    if sound.notice_due_at is not None and now - sound.notice_due_at > PATIENCE:
        stuck_s = (now - sound.notice_due_at).total_seconds()
        doubts.append(f"a notice is not delivered since {stuck_s:.0f} s")
    return doubts


def ping(work: Work, *, open_pinger: Callable[[], Pinger] = open_pinger) -> None:
    """Call the address of the config, if it is time and the call is earned."""
    settings = work.config.general.dead_man
    if settings is None:
        work.note = None
        return
    note = work.note or {}
    # A transaction that writes: without it the ping would not be earned, either.
    with work.transaction() as session:
        # What no agent can probe is no sign that something is broken.
        pools = served_pools(session, now=work.now)
        sound = Soundness(
            bool(pools),
            leases.get_next_due_at(session, pools=pools),
            soundness.get_oldest_stuck_at(session, now=work.now, patience=PATIENCE / 2),
        )
    trouble = "; ".join(find_doubts(sound, now=work.now))
    pinged_at = note.get("pinged_at")
    now_s = work.now.timestamp()
    is_due = pinged_at is None or not (
        0 <= now_s - pinged_at < (settings.every - LOOK_INTERVAL / 2).total_seconds()
    )
    if not trouble and is_due:
        trouble = _call(settings.url.get_secret_value(), open_pinger)
        pinged_at = now_s
    elif not trouble:
        trouble = note.get("trouble", "")
    _log_change(note.get("trouble", ""), trouble)
    work.note = {"pinged_at": pinged_at, "trouble": trouble}


def _call(url: str, open_pinger: Callable[[], Pinger]) -> str:
    try:
        with closing(open_pinger()) as pinger:
            pinger.get(url)
    except DeliveryError as err:
        return f"it did not arrive: {err}"
    return ""


def _log_change(before: str, after: str) -> None:
    # The seconds in it change all the time.
    if _without_numbers(before) == _without_numbers(after):
        return
    if after:
        log.error("The ping of general.dead_man has stopped: %s", after)
    else:
        log.info("The ping of general.dead_man goes out again")


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+ s", "", text)
