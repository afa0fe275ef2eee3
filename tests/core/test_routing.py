import pytest

from argos.core.incident import EventKind
from argos.core.routing import RoutingRules, recipients
from argos.core.severity import Severity

GENERAL = {
    Severity.OK: ["local"],
    Severity.WARNING: ["local"],
    Severity.CRITICAL: ["local", "mail", "apprise:team"],
}


@pytest.mark.parametrize(
    ("event", "severity", "rules", "told", "expected"),
    [
        pytest.param(
            EventKind.OPENED,
            Severity.CRITICAL,
            RoutingRules(GENERAL),
            [],
            ("local", "mail", "apprise:team"),
            id="the list of the severity",
        ),
        pytest.param(
            EventKind.OPENED,
            Severity.UNKNOWN,
            RoutingRules(GENERAL),
            [],
            (),
            id="no list for the severity",
        ),
        pytest.param(
            EventKind.OPENED,
            Severity.WARNING,
            RoutingRules(GENERAL, added=["mail", "local"]),
            [],
            ("local", "mail"),
            id="added ones, each once",
        ),
        pytest.param(
            EventKind.OPENED,
            Severity.CRITICAL,
            RoutingRules(GENERAL, added=["gotify"], overwritten=["local"]),
            [],
            ("local",),
            id="overwritten wins over all",
        ),
        pytest.param(
            EventKind.OPENED,
            Severity.CRITICAL,
            RoutingRules(GENERAL, overwritten=[]),
            [],
            (),
            id="D-22 an empty overwrite mutes the website",
        ),
        pytest.param(
            EventKind.CLOSED,
            Severity.OK,
            RoutingRules(GENERAL),
            ["local", "mail"],
            ("local", "mail"),
            id="I-22 a recovery goes to all that were told",
        ),
        pytest.param(
            EventKind.WORSENED,
            Severity.CRITICAL,
            RoutingRules(GENERAL, overwritten=["mail"]),
            ["local"],
            ("mail",),
            id="worsening does not follow who was told",
        ),
    ],
)
def test_recipients(event, severity, rules, told, expected):
    assert recipients(event, severity, rules, already_told=told) == expected
