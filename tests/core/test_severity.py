import pytest

from argos.core.severity import DEFAULT_SEVERITY, Severity, Status, worst


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        pytest.param([], Severity.OK, id="none at all is ok"),
        pytest.param([Severity.OK, Severity.WARNING], Severity.WARNING, id="warning"),
        pytest.param(
            [Severity.WARNING, Severity.CRITICAL, Severity.OK],
            Severity.CRITICAL,
            id="critical",
        ),
        pytest.param(
            [Severity.CRITICAL, Severity.UNKNOWN], Severity.UNKNOWN, id="unknown"
        ),
    ],
)
def test_worst_follows_the_order_of_the_members(severities, expected):
    assert worst(severities) is expected


def test_every_final_status_has_a_severity():
    assert set(DEFAULT_SEVERITY) == set(Status) - {Status.ON_CHECK}
