"""Links in notices by which somebody without a login may say: I take care of it.

A link holds what it allows, until when, and to whom it was sent, under a signature by a
key that comes from the config's `cookie_secret`. Who has the link may use it, as often as
they like, until it expires.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from urllib.parse import urlencode

from argos.errors import LinkExpired, LinkForged
from argos.schemas import Config
from argos.server.columns import from_epoch_us, to_epoch_us

LIFETIME = timedelta(days=7)
MAX_RECIPIENT_LENGTH = 500
_SIGNATURE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Acknowledging:
    """What a link allows: to take care of an incident."""

    incident_id: int
    recipient: str
    """Whom it was sent to, as the config calls them; no address, and no secret."""
    expires_at: datetime


class LinkSigner:
    """Signs links, and tells which ones it has signed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, config: Config) -> Self:
        """The signer of an installation: all its servers have the same."""
        secret = config.general.cookie_secret.get_secret_value().encode()
        return cls(hashlib.blake2b(secret, person=b"argos-links").digest())

    def query(self, wish: Acknowledging) -> str:
        """What stands behind the question mark of a link."""
        return urlencode({
            "until": to_epoch_us(wish.expires_at) // 1_000_000,
            "to": wish.recipient,
            "sign": self._sign(wish),
        })

    def read(
        self, *, incident_id: int, until: int, to: str, sign: str, now: datetime
    ) -> Acknowledging:
        """What a link allows; raises LinkForged, or LinkExpired."""
        wish = Acknowledging(incident_id, to, from_epoch_us(until * 1_000_000))
        if not hmac.compare_digest(self._sign(wish), sign.encode()):
            raise LinkForged
        if wish.expires_at < now:
            raise LinkExpired
        return wish

    def _sign(self, wish: Acknowledging) -> bytes:
        seconds = to_epoch_us(wish.expires_at) // 1_000_000
        text = f"acknowledge\n{wish.incident_id}\n{seconds}\n{wish.recipient}"
        digest = hmac.digest(self._key, text.encode(), "sha256")[:_SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=")
