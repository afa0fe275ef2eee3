"""Notices about agents: who gets them, and under which name each goes out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from argos.channels import expand_recipient
from argos.schemas import Config
from argos.server.columns import to_epoch_us
from argos.server.database import Session
from argos.server.queries import deliveries as queries
from argos.server.queries.deliveries import NewDelivery
from argos.server.services.notice import Draft, encode_draft


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
    queries.add_deliveries(
        session,
        deliveries=[
            NewDelivery(
                event_id=None,
                notice=text,
                recipient=recipient,
                created_at=notice.at,
                message_id=_message_id(notice, agent, recipient),
            )
            for name in dict.fromkeys(recipients)
            for recipient in expand_recipient(name, config.general)
        ],
    )


def _message_id(notice: Draft, agent: str, recipient: str) -> str:
    text = f"{agent}\n{recipient}" if agent else recipient
    digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    return f"{notice.kind}.{to_epoch_us(notice.at)}.{digest}"
