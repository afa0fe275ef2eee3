"""Tell others, once, that somebody cannot be told."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from argos.channels import NoticeKind, expand_recipient, find_setup, recipient_name
from argos.core.severity import Severity
from argos.errors import DeliveryError
from argos.language import Phrase
from argos.schemas import Config
from argos.server.columns import to_epoch_us
from argos.server.database import Session
from argos.server.queries import deliveries as queries
from argos.server.queries.deliveries import ClaimedDelivery, NewDelivery
from argos.server.services.notice import Draft, encode_draft


def tell_undelivered(
    session: Session,
    deliveries: Sequence[ClaimedDelivery],
    *,
    reason: str,
    config: Config,
    now: datetime,
) -> None:
    """Leave a notice for those of `alerts.undelivered`; none on such a notice itself."""
    told = [one for one in deliveries if not _is_such_a_notice(one)]
    if not told:
        return
    failed = told[0].recipient
    draft = Draft(
        kind=NoticeKind.UNDELIVERED,
        severity=Severity.CRITICAL,
        at=now,
        title=Phrase(
            "Notices to {recipient} cannot be delivered",
            {"recipient": recipient_name(failed)},
        ),
        lines=(
            (Phrase("Reason"), reason),
            (Phrase("Oldest notice of"), told[0].created_at),
            (Phrase("Time"), now),
        ),
        page="/notices?s=dead",
    )
    digest = hashlib.blake2b(failed.encode(), digest_size=6).hexdigest()
    queries.add_deliveries(
        session,
        deliveries=[
            NewDelivery(
                event_id=None,
                notice=json.dumps(encode_draft(draft)),
                recipient=recipient,
                created_at=now,
                message_id=f"undelivered.{digest}.{to_epoch_us(now)}.{place}",
            )
            for place, recipient in enumerate(_fallbacks(failed, config))
        ],
    )


def _fallbacks(failed: str, config: Config) -> list[str]:
    recipients = [
        recipient
        for name in config.general.alerts.undelivered
        for recipient in expand_recipient(name, config.general)
    ]
    return [one for one in dict.fromkeys(recipients) if one != failed]


def _is_such_a_notice(delivery: ClaimedDelivery) -> bool:
    kind = (delivery.notice or {}).get("kind")
    return kind == NoticeKind.UNDELIVERED.value


def is_patient_recipient(recipient: str, config: Config) -> bool:
    """Whether notices to somebody wait for others that go into the same message."""
    try:
        return find_setup(recipient, config.general).kind.is_patient
    except DeliveryError:
        return False
