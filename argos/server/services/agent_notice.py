"""Notices about agents: who gets them, when, and under which name each goes out.

Quiet hours are for them, too. What is kept back until the morning gives way to what comes
later, so that people hear of it once, and of nothing that was over before they heard.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from argos.channels import NoticeKind, expand_recipient
from argos.channels.notice import PROBLEM_OF
from argos.core.severity import Severity
from argos.schemas import Config
from argos.server.columns import to_epoch_us
from argos.server.database import Session
from argos.server.queries import deliveries as queries, held, held_notices
from argos.server.queries.deliveries import NewDelivery
from argos.server.services.notice import Draft, encode_draft
from argos.server.services.upkeep import Work

log = logging.getLogger(__name__)

QUIET = "quiet hours"


def tell_of_agents(
    session: Session,
    notice: Draft,
    *,
    recipients: Sequence[str],
    config: Config,
    agent: str = "",
) -> None:
    """Leave a notice for each recipient; of one agent, or of all."""
    about = replace(notice, agent=agent or None)
    text = json.dumps(encode_draft(about))
    targets = dict.fromkeys(
        target
        for name in recipients
        for target in expand_recipient(name, config.general)
    )
    until = None if _is_urgent(notice) else _quiet_until(config, notice.at)
    needless = _needless(session, about, is_quiet=until is not None)
    queries.add_deliveries(
        session,
        deliveries=[
            NewDelivery(
                event_id=None,
                notice=text,
                recipient=recipient,
                created_at=notice.at,
                message_id=_message_id(notice, agent, recipient),
                held_until=until,
                held_by=None if until is None else QUIET,
            )
            for recipient in targets
            if recipient not in needless
        ],
    )


def let_notices_go(work: Work) -> None:
    """Tell what the quiet hours have kept back, when they are over."""
    if _quiet_until(work.config, work.now) is not None:
        return
    with work.transaction() as session:
        ids = [one.id for one in held_notices.list_held_notices(session)]
        held.let_go(session, ids=ids, now=work.now)
    if ids:
        log.info("%s notices are kept back no longer.", len(ids))


def _is_urgent(notice: Draft) -> bool:
    """Whether it wakes people; the end of what did so comes as soon."""
    is_end_of_worst = PROBLEM_OF.get(notice.kind) is NoticeKind.NO_AGENT
    return notice.severity is Severity.CRITICAL or is_end_of_worst


def _quiet_until(config: Config, now: datetime) -> datetime | None:
    hours = config.general.quiet_hours
    period = hours.period(now) if hours is not None else None
    return period.until if period and period.is_open else None


def _needless(session: Session, notice: Draft, *, is_quiet: bool) -> set[str]:
    """Who need not hear this; what is kept back of the same matter is dropped.

    Nobody is reminded in quiet hours, nor told of the end of what they never heard of.
    """
    problem = PROBLEM_OF.get(notice.kind, notice.kind)
    kinds = {problem, *(end for end, begin in PROBLEM_OF.items() if begin is problem)}
    outdated = [
        one
        for one in held_notices.list_held_notices(session)
        if one.kind in kinds and one.agent == notice.agent
    ]
    if not outdated and not is_quiet:
        return set()
    held.drop_held(session, ids=[one.id for one in outdated], now=notice.at)
    heard = held_notices.list_last_heard(session, kinds=kinds, agent=notice.agent)
    know = {recipient for recipient, kind in heard.items() if kind == problem}
    if notice.kind is problem:
        return know if is_quiet else set()
    return {one.recipient for one in outdated} - know


def _message_id(notice: Draft, agent: str, recipient: str) -> str:
    text = f"{agent}\n{recipient}" if agent else recipient
    digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    return f"{notice.kind}.{to_epoch_us(notice.at)}.{digest}"
