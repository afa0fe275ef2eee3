"""A20: a mail server that says nothing, from the first moment on, slows nothing else."""

import socket
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from argos.channels import NoticeKind
from argos.clock import system_clock
from argos.core.severity import Severity
from argos.language import Phrase
from argos.server.main import get_application
from argos.server.models import Delivery
from argos.server.services.notice import Draft, encode_draft

ENOUGH_S = 5.0
"""Far below the 20 seconds that an attempt may take."""


@pytest.fixture
def migrated_url(migrated_sqlite_url: str) -> str:
    """What hangs has nothing to do with the kind of database."""
    return migrated_sqlite_url


def test_a20_the_server_starts_and_answers_while_a_mail_hangs(
    sqlite_database, make_loaded
):
    now = system_clock.utcnow()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(ENOUGH_S)
        loaded = make_loaded(
            general__mail={
                "mailfrom": "argos@example.org",
                "port": silent.getsockname()[1],
                "addresses": ["ada@example.org"],
            }
        )
        draft = Draft(NoticeKind.NO_AGENT, Severity.CRITICAL, now, Phrase("Time"))
        with sqlite_database.transaction() as session:
            session.add(
                Delivery(
                    notice=encode_draft(draft),
                    recipient="mail:ada@example.org",
                    created_at=now - timedelta(minutes=1),
                    due_at=now - timedelta(minutes=1),
                    message_id="m",
                )
            )

        with TestClient(get_application(loaded)) as client:
            connection, _ = silent.accept()  # the attempt has begun, and hangs
            started_at = system_clock.monotonic()
            answers = [client.get("/api/severities").status_code for _ in range(5)]
            elapsed_s = system_clock.monotonic() - started_at
            connection.close()

    assert answers == [200] * 5
    assert elapsed_s < ENOUGH_S
