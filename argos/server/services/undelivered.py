"""Notices that were given up: try them again, or take them off the list."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from argos.channels import Setup, list_setups, recipient_name
from argos.clock import Clock
from argos.core.text import visible
from argos.schemas import Config
from argos.server.database import Database, Session
from argos.server.queries import delivery_list as queries
from argos.server.queries.delivery_list import DeliveryLine, TargetLine
from argos.server.services.notice import decode_notice
from argos.server.services.wording import Wording, without_password

log = logging.getLogger(__name__)


def retry(
    database: Database, clock: Clock, *, ids: Collection[int] | None = None
) -> int:
    """Try what was given up again, all of it or some; how many notices."""
    with database.transaction() as session:
        count = queries.retry_dead(session, now=clock.utcnow(), ids=ids)
    log.info("%d notices that were given up are tried again, on request", count)
    return count


def drop(
    database: Database, clock: Clock, *, ids: Collection[int] | None = None
) -> int:
    """Take what was given up off the list, all of it or some; how many notices."""
    with database.transaction() as session:
        count = queries.drop_dead(session, now=clock.utcnow(), ids=ids)
    log.info("%d notices that were given up were dropped, on request", count)
    return count


def subject_of(line: DeliveryLine) -> str:
    """What a notice is about, in one line."""
    if line.notice is not None:
        try:
            return decode_notice(line.notice, message_id="", wording=Wording()).title
        except (KeyError, ValueError):
            return "a notice of another version of Argos"
    if line.url is None or line.severity is None:
        return "a task that is gone"
    target = f"{without_password(line.url)} (IPv{line.ip_version})"
    return visible(f"{target} {line.check}: {line.kind}, {line.severity}")


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel of the config, and how it stands with its recipients."""

    name: str
    type: str
    language: str
    target_count: int
    sent_at: datetime | None
    failing_count: int
    """How many of its recipients cannot be reached now."""
    last_error: str | None
    next_at: datetime | None
    """When one that fails is tried again."""


def list_channels(session: Session, config: Config) -> Sequence[ChannelState]:
    """All channels of the config, by name."""
    targets = queries.list_targets(session)
    return [_state_of(setup, targets) for setup in list_setups(config.general).values()]


def _state_of(setup: Setup, targets: Sequence[TargetLine]) -> ChannelState:
    own = [one for one in targets if recipient_name(one.recipient) == setup.name]
    failing = [one for one in own if one.failures or _is_refused(one)]
    return ChannelState(
        name=setup.name,
        type=setup.kind.name,
        language=setup.language,
        target_count=len(setup.recipients),
        sent_at=max((one.sent_at for one in own if one.sent_at), default=None),
        failing_count=len(failing),
        last_error=next((one.last_error for one in failing), None),
        next_at=min((one.next_at for one in failing if one.next_at), default=None),
    )


def _is_refused(target: TargetLine) -> bool:
    """Whether the last attempt was refused for good."""
    if target.failed_at is None:
        return False
    return target.sent_at is None or target.failed_at > target.sent_at


def describe_state(line: DeliveryLine) -> str:
    """How far a notice came, in a word."""
    return "dropped" if line.dropped_at is not None else line.state.value
