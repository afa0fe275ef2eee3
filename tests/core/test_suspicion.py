from datetime import UTC, datetime, timedelta

import pytest

from argos.core.suspicion import MAX_DOMAINS, WINDOW, Looks, Standing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SUSPECT, WELL, UNDECIDED = Standing.SUSPECT, Standing.WELL, Standing.UNDECIDED


def look(looks, agent, letters, *, first=0, ago=30):
    """An agent's looks at site after site: `x` failed, `o` did not, `.` did not look."""
    for number, letter in enumerate(letters, first):
        if letter != ".":
            at = NOW - ago * SECOND
            looks.note(agent, f"site{number}", failed=letter == "x", at=at)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        pytest.param("xxxxx", "ooooo", SUSPECT, id="others refute all"),
        pytest.param("xxxxx", "ooo..", SUSPECT, id="others refute three"),
        pytest.param("xxxxx", "oo...", UNDECIDED, id="others refute two"),
        pytest.param("xxxxx", "", UNDECIDED, id="nobody else looked"),
        pytest.param("xxxxx", "xxxxx", WELL, id="others fail as well"),
        pytest.param("xxxxx.", "xxooox", SUSPECT, id="most are refuted"),
        pytest.param("xxxxxx", "xxxooo", UNDECIDED, id="half are refuted"),
        pytest.param("xxxx", "oooo", UNDECIDED, id="too few websites"),
        pytest.param("xxxooo", "oooooo", UNDECIDED, id="half is not most"),
        pytest.param("xooo", "oooo", UNDECIDED, id="one website is down"),
        pytest.param("xoooo", "ooooo", WELL, id="one website of five is down"),
        pytest.param("xxxxx", ".....ooooo", SUSPECT, id="others succeed elsewhere"),
        pytest.param("xxxxx", ".....xxooo", UNDECIDED, id="others fare little better"),
    ],
)
def test_standing(own, others, expected):
    looks = Looks()
    look(looks, "a", own)
    look(looks, "b", others, ago=20)

    assert looks.judge("a", now=NOW).standing is expected


def test_looks_from_before_the_first_failure_say_nothing():
    looks = Looks()
    look(looks, "b", "oooooooooo", ago=40)
    look(looks, "a", "xxxxx", ago=30)

    assert looks.judge("a", now=NOW).standing is UNDECIDED


def test_looks_are_forgotten_after_a_minute():
    looks = Looks()
    look(looks, "a", "xxxxx", ago=30)
    look(looks, "b", "ooooo", ago=20)
    later = NOW - 30 * SECOND + WINDOW + SECOND

    assert looks.judge("a", now=later).standing is UNDECIDED
    assert looks.judge("a", now=later).domains == 0


def test_suspects_witness_nothing():
    looks = Looks()
    look(looks, "a", "xxxxx")
    look(looks, "b", "ooooo", ago=20)

    found = looks.judge("a", now=NOW, distrusted=frozenset({"b"}))

    assert found.standing is UNDECIDED


def test_a_suspect_that_succeeds_is_well_again():
    looks = Looks()
    look(looks, "a", "xxxxx", ago=30)
    look(looks, "b", "ooooo", ago=20)
    look(looks, "a", "ooooo", ago=10)

    assert looks.judge("a", now=NOW).standing is WELL


def test_one_failing_check_makes_a_run_a_failure():
    looks = Looks()
    for failed in (False, True, False):
        looks.note("a", "site", failed=failed, at=NOW)

    assert looks.judge("a", now=NOW).failed == 1


def test_memory_is_bounded():
    looks = Looks()
    look(looks, "a", "x" * (MAX_DOMAINS + 10))

    assert looks.judge("a", now=NOW).domains == MAX_DOMAINS
