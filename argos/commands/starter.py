"""The first start of `argos up`: a config to begin with, and somebody who may log in."""

import os
import secrets
from datetime import datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argos.server.database import Database

ADMIN = "admin"
_PASSWORD_BYTES = 12
_SECRET_BYTES = 32

_CONFIG = Template("""\
# Written by `argos up` at its first start; change what you like.
# `argos server generate-config` prints an example with every key explained.
# A running server takes changes over by itself; `argos config check` finds mistakes.
general:
  db:
    url: "sqlite:///$database"
  # Kept from others, this keeps sessions safe.
  cookie_secret: "$cookie_secret"
  base_url: "$url"
  frequency: "1m"
  # Extra failures in a row before you are told.
  retry_before_notification: 1
  ipv4: true
  ipv6: $has_ipv6
  # Who hears of what: local (the log), mail, gotify, apprise:GROUP.
  alerts:
    ok: [local]
    warning: [local]
    critical: [local]
    unknown: [local]
    no_agent: [local]
service:
  # Tokens for agents on other machines.
  secrets:
    - "$agent_secret"
ssl:
  # Days that a certificate has left.
  thresholds:
    - "1d": critical
    - "5d": warning
recurring_tasks:
  max_results_age: "90d"
  max_lock_seconds: 100
  time_without_agent: 5
websites:
  - domain: "$url"
    name: "Argos itself"
    ipv6: false
    paths:
      - path: "/healthz"
        checks:
          - status-is: 200
  - domain: "https://example.org"
    paths:
      - path: "/"
        checks:
          - status-is: 200
          - body-contains: "Example Domain"
          - ssl-certificate-expiration: "on-check"
""")


def write_starter_config(path: Path, *, url: str, has_ipv6: bool) -> None:
    """Write a config that watches Argos itself, with secrets of its own.

    Raises FileExistsError rather than overwrite anything.
    """
    text = _CONFIG.substitute(
        database=path.with_name("argos.db").absolute(),
        cookie_secret=secrets.token_urlsafe(_SECRET_BYTES),
        agent_secret=secrets.token_urlsafe(_SECRET_BYTES),
        url=url,
        has_ipv6=str(has_ipv6).lower(),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def add_first_user(database: "Database", *, now: datetime) -> str | None:
    """Add a user, if there is none; return the password, which is stored nowhere."""
    from argos.server.queries import users
    from argos.server.services import passwords

    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    with database.transaction() as session:
        if users.list_users(session):
            return None
        password_hash = passwords.hash_password(password)
        users.add_user(session, username=ADMIN, password_hash=password_hash, now=now)
    return password
