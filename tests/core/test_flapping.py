from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from argos.core.flapping import STEADY_RUNS, WINDOW, RunHistory


def history(letters):
    """`x` failed, `o` did not; the newest last."""
    found = RunHistory()
    for letter in letters:
        found = found.push(failed=letter == "x")
    return found


@pytest.mark.parametrize(
    ("letters", "changes", "begins", "is_steady"),
    [
        ("", 0, False, True),
        ("x", 0, False, True),
        ("oxoxo", 4, False, True),
        ("oxoxox", 5, False, False),
        ("oxoxoxo", 6, True, False),
        ("oxoxoxo" + "o" * (STEADY_RUNS - 1), 6, True, True),
        ("ox" * 30, WINDOW, True, False),
        ("ox" * 30 + "o" * WINDOW, 1, False, True),
        ("ox" * 30 + "o" * (WINDOW + 1), 0, False, True),
    ],
)
def test_share_of_changes(letters, changes, begins, is_steady):
    found = history(letters)

    assert (found.changes, found.begins_to_flap, found.is_steady) == (
        changes,
        begins,
        is_steady,
    )


@given(st.text("ox", max_size=60))
def test_the_number_holds_the_last_runs(letters):
    kept = letters[-(WINDOW + 1) :]
    changes = sum(one != two for one, two in pairwise(kept))

    assert history(letters).length == len(kept)
    assert history(letters).changes == changes
    assert history(letters).bits < 2 ** (WINDOW + 2)


@given(st.text("ox", max_size=40), st.integers(0, 40))
def test_failures_can_be_forgotten(letters, count):
    kept = letters[-(WINDOW + 1) :]
    cut = max(0, len(kept) - count)

    expected = history(kept[:cut] + "o" * (len(kept) - cut))
    assert history(letters).forget_failures(count) == expected
