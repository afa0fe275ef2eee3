"""Who an agent is: its token, its name, and when it was seen."""

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from argos.core.text import cut, visible
from argos.errors import AccessError
from argos.schemas import Config
from argos.server.database import Database
from argos.server.queries import agents as queries
from argos.server.queries.agents import Sighting

TOKEN_PREFIX = "argos_a_"  # noqa: S105  # what every agent's token begins with
TOKEN_ID_BYTES = 8
TOKEN_SECRET_BYTES = 32
MAX_NAME_LENGTH = 200

CACHED_INTERVAL = timedelta(seconds=3)
"""How long a token's owner is believed without asking the database: a revoked token
works that much longer."""
SEEN_INTERVAL = timedelta(seconds=5)
"""An agent that looks the same is written down so often at most."""
_MAX_REMEMBERED = 10_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """The agent that a token belongs to."""

    name: str
    digest: bytes
    is_revoked: bool


class AgentDesk:
    """What one server process remembers of agents between their calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, tuple[datetime, TokenOwner | None]] = {}
        self._own_tokens: dict[str, tuple[datetime, bool]] = {}
        self._seen: dict[str, tuple[datetime, tuple[str | None, ...]]] = {}

    def find_owner(
        self, database: Database, token_id: str, *, now: datetime
    ) -> TokenOwner | None:
        """The owner of a token, a few seconds old at most."""
        with self._lock:
            known = self._owners.get(token_id)
        if known is not None and _is_fresh(known[0], now, CACHED_INTERVAL):
            return known[1]
        with database.reading() as session:
            agent = queries.get_agent_by_token_id(session, token_id=token_id)
        owner = None
        if agent is not None and agent.token_digest is not None:
            is_revoked = agent.revoked_at is not None
            owner = TokenOwner(agent.name, agent.token_digest, is_revoked)
        self._remember(self._owners, token_id, (now, owner))
        return owner

    def remembers_owner(self, token_id: str, *, now: datetime) -> bool:
        """Whether a token's owner can be told without the database."""
        with self._lock:
            known = self._owners.get(token_id)
        return known is not None and _is_fresh(known[0], now, CACHED_INTERVAL)

    def remembers_name(self, name: str, *, now: datetime) -> bool:
        """Whether it is known, likewise, if an agent has a token of its own."""
        with self._lock:
            known = self._own_tokens.get(name)
        return known is not None and _is_fresh(known[0], now, CACHED_INTERVAL)

    def has_own_token(self, database: Database, name: str, *, now: datetime) -> bool:
        """Whether the agent of this name has a token of its own."""
        with self._lock:
            known = self._own_tokens.get(name)
        if known is not None and _is_fresh(known[0], now, CACHED_INTERVAL):
            return known[1]
        with database.reading() as session:
            agent = queries.get_agent(session, name=name)
        has_one = (
            agent is not None
            and agent.token_id is not None
            and agent.revoked_at is None
        )
        self._remember(self._own_tokens, name, (now, has_one))
        return has_one

    def is_news(self, sighting: Sighting, *, now: datetime) -> bool:
        """Whether a sighting is worth a write; remembers it if so.

        How busy an agent is changes with each call, and waits for the next write.
        """
        with self._lock:
            known = self._seen.get(sighting.name)
        look: tuple[str | None, ...] = (
            sighting.address,
            sighting.version,
            sighting.capabilities,
            sighting.location,
        )
        if known is not None:
            # What a call does not tell is as it was: reports tell little.
            look = tuple(
                before if new is None else new
                for new, before in zip(look, known[1], strict=True)
            )
            if look == known[1] and _is_fresh(known[0], now, SEEN_INTERVAL):
                return False
        self._remember(self._seen, sighting.name, (now, look))
        return True

    def forget(self, name: str) -> None:
        """Take an agent's next sighting for news: the last could not be written."""
        with self._lock:
            self._seen.pop(name, None)

    def _remember(self, memory: dict[str, _T], key: str, value: _T) -> None:
        with self._lock:
            if len(memory) >= _MAX_REMEMBERED:
                memory.clear()
            memory[key] = value


def _is_fresh(moment: datetime, now: datetime, interval: timedelta) -> bool:
    # A clock that was set back makes nothing fresh.
    return timedelta() <= now - moment < interval


def authenticate(
    database: Database,
    *,
    desk: AgentDesk,
    token: str,
    config: Config,
    now: datetime,
) -> str | None:
    """The name of the agent that owns a token; None: a shared secret, so it may choose.

    Raises AccessError on a token that is wrong or revoked.
    """
    if _is_shared_secret(token, config):
        return None
    token_id, secret = _split_token(token)
    if not token.startswith(TOKEN_PREFIX) or not secret:
        raise AccessError("This is no token of an agent.")
    owner = desk.find_owner(database, token_id, now=now)
    expected = owner.digest if owner else bytes(32)
    is_right = hmac.compare_digest(_digest(secret), expected)
    if owner is None or owner.is_revoked or not is_right:
        raise AccessError("This token is wrong, or was revoked.")
    return owner.name


def identify(
    database: Database,
    *,
    desk: AgentDesk,
    token: str,
    chosen_name: str,
    config: Config,
    now: datetime,
) -> str:
    """The name of the agent that calls; raises AccessError.

    Whoever has a shared secret chooses its name, but not one whose agent has a token
    of its own: else any agent could report for that one.
    """
    name = authenticate(database, desk=desk, token=token, config=config, now=now)
    if name is not None:
        return name
    if desk.has_own_token(database, chosen_name, now=now):
        raise AccessError(f"Agent {chosen_name} has a token of its own.")
    return chosen_name


def is_at_hand(
    *, desk: AgentDesk, token: str, chosen_name: str, config: Config, now: datetime
) -> bool:
    """Whether `identify` can tell who calls without the database."""
    if _is_shared_secret(token, config):
        return desk.remembers_name(chosen_name, now=now)
    return desk.remembers_owner(_split_token(token)[0], now=now)


def _split_token(token: str) -> tuple[str, str]:
    token_id, _, secret = token.removeprefix(TOKEN_PREFIX).partition("_")
    return visible(cut(token_id, 100)), secret


def _is_shared_secret(token: str, config: Config) -> bool:
    digest = _digest(token)
    # All are compared, so that the time tells nothing of which one was near.
    matches = [
        hmac.compare_digest(digest, _digest(secret.get_secret_value()))
        for secret in config.service.secrets
    ]
    return any(matches)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def agent_name(text: str) -> str:
    """A name that an agent gave itself, as we keep it."""
    return cut(visible(text), MAX_NAME_LENGTH)


def see_agent(
    database: Database, *, desk: AgentDesk, sighting: Sighting, now: datetime
) -> None:
    """Write down that an agent was here, unless that is known well enough."""
    if not desk.is_news(sighting, now=now):
        return
    try:
        with database.transaction() as session:
            queries.see_agent(session, sighting=sighting, now=now)
    except Exception:
        desk.forget(sighting.name)
        raise


def issue_token(database: Database, *, name: str, now: datetime) -> str:
    """Give an agent a token of its own; one that it had is worthless from now on.

    The token is returned this once, and stored nowhere.
    """
    token_id = secrets.token_hex(TOKEN_ID_BYTES)
    secret = secrets.token_urlsafe(TOKEN_SECRET_BYTES)
    with database.transaction() as session:
        agent = queries.get_agent(session, name=name)
        if agent is None:
            agent = queries.add_agent(session, name=name, now=now)
        agent.token_id = token_id
        agent.token_digest = _digest(secret)
        agent.revoked_at = None
    return f"{TOKEN_PREFIX}{token_id}_{secret}"


def revoke_token(database: Database, *, name: str, now: datetime) -> bool:
    """Make an agent's token worthless; False when it has none."""
    with database.transaction() as session:
        return queries.revoke_agent(session, name=name, now=now)


def encode_capabilities(names: Collection[str] | None) -> str | None:
    """Capabilities as the database keeps them."""
    return None if names is None else json.dumps(sorted(names))
