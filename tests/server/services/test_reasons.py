"""Reasons of agents in French: those that the checks and the engine really give."""

import errno
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from argos.agent.engine.failure import Progress, message_of
from argos.checks import get_registered_check
from argos.core.probe import FailureKind, ProbeResponse
from argos.language import texts_in
from argos.server.services.reasons import say_reason

FRENCH, ENGLISH = texts_in("fr"), texts_in("en")
BROKEN = ProbeResponse(status_code=500, headers=(("a", "b"),), body=b"{}")

CHECKS = [
    ("status-is", 200, "Le code de statut est 500 au lieu de 200."),
    ("status-in", [200, 301], "Le code de statut est 500."),
    ("headers-contain", ["x", "y"], "Absents : x, y."),
    ("headers-have", {"x": "1", "a": "c"}, "Absents : x. Avec une autre valeur : a."),
    ("body-contains", "hello", "Introuvable dans le corps de 2 octets."),
    ("json-contains", ["/a"], 'Absents : "/a".'),
]


@pytest.mark.parametrize(("name", "value", "expected"), CHECKS)
def test_a_reason_of_a_check_is_said_in_french(name, value, expected):
    check = get_registered_check(name)
    stored = check.encode_expected(value)

    reason = check.evaluate(
        BROKEN, stored, now=datetime(2026, 3, 14, tzinfo=UTC)
    ).facts["reason"]

    assert say_reason(reason, FRENCH) == expected
    assert say_reason(reason, ENGLISH) == reason


FAILURES = [
    (
        FailureKind.CONNECT,
        {},
        "Connexion impossible à 192.0.2.1 port 443 : connexion refusée.",
    ),
    (FailureKind.TIMEOUT, {}, "Pas de connexion à 192.0.2.1 port 443 en 5 s."),
    (
        FailureKind.TIMEOUT,
        {"is_connected": True, "is_request_sent": True},
        "Aucune réponse n\u2019est venue en 5 s.",
    ),
    (FailureKind.PROTOCOL, {}, "La réponse est inutilisable : odd."),
]


@pytest.mark.parametrize(("kind", "state", "expected"), FAILURES)
def test_a_failure_of_a_probe_is_said_in_french(kind, state, expected):
    known = {
        **dict.fromkeys(Progress.__dataclass_fields__, False),
        "address": "192.0.2.1",
        "port": 443,
        "timeout": 5.0,
    }
    progress = Progress(**{**known, **state})

    message = message_of(kind, "odd", errno.ECONNREFUSED, progress)

    assert say_reason(message, FRENCH) == expected


@given(st.text())
def test_what_is_no_usual_sentence_stays_as_it_is(text):
    assert say_reason(text, ENGLISH) == text
    assert say_reason(f"Weird: {text}", FRENCH) == f"Weird: {text}"


def test_what_stands_in_a_gap_is_never_looked_into():
    reason = "The website speaks {version} {x}."

    assert say_reason(reason, FRENCH) == "Le site parle {version} {x}."
