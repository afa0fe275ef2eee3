"""`argos server nagios`."""

from pathlib import Path

import pytest

from argos.commands.nagios import describe
from argos.core.severity import Severity
from tests.commands.conftest import Run

OK, WARNING, CRITICAL, UNKNOWN = Severity


@pytest.mark.parametrize(
    ("counts", "text", "exit_code"),
    [
        (
            {OK: 5},
            "OK — All sites are ok|ok=5; warning=0; critical=0; unknown=0;",
            0,
        ),
        ({}, "OK — All sites are ok|ok=0; warning=0; critical=0; unknown=0;", 0),
        (
            {OK: 1, WARNING: 2},
            "WARNING — 2 sites are in warning state"
            "|ok=1; warning=2; critical=0; unknown=0;",
            1,
        ),
        (
            {WARNING: 2, CRITICAL: 3},
            "CRITICAL — 3 sites are in critical state"
            "|ok=0; warning=2; critical=3; unknown=0;",
            2,
        ),
        (
            {WARNING: 2, UNKNOWN: 4},
            "UNKNOWN — 4 sites are in unknown state"
            "|ok=0; warning=2; critical=0; unknown=4;",
            3,
        ),
        (
            {CRITICAL: 3, UNKNOWN: 4},
            "CRITICAL/UNKNOWN — 3 sites are in critical state and 4 sites are in "
            "unknown state|ok=0; warning=0; critical=3; unknown=4;",
            2,
        ),
        (
            {OK: 1, WARNING: 0, CRITICAL: 0, UNKNOWN: 0},
            "OK — All sites are ok|ok=1; warning=0; critical=0; unknown=0;",
            0,
        ),
    ],
    ids=["ok", "nothing", "warning", "critical", "unknown", "both", "zeros"],
)
def test_the_worst_counts(
    counts: dict[Severity, int], text: str, exit_code: int
) -> None:
    assert describe(counts) == (text, exit_code)


def test_the_database_is_counted(argos: Run, ready: Path) -> None:
    result = argos("server", "nagios")

    assert result.exit_code == 3
    assert result.stdout == (
        "UNKNOWN — 1 sites are in unknown state"
        "|ok=0; warning=0; critical=0; unknown=1;\n"
    )
