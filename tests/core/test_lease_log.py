"""Which leases are over: against a set that remembers each of them."""

from hypothesis import given, strategies as st

from argos.core.lease_log import MOST_RANGES, OUTDATED_DAYS, LeaseLog

LEASES = st.lists(st.tuples(st.sampled_from([1, 1, 1, 2, 5]), st.booleans()))
"""By how many the lease number grew, and whether its result had a row."""


@given(LEASES)
def test_every_lease_without_a_row_is_known_and_no_lease_that_nobody_reported(steps):
    log, last = LeaseLog(), 0
    reported, without_row = set[int](), set[int]()
    for growth, has_row in steps:
        lease_no = last + growth
        after = log.applied(lease_no, last=last, day=7, has_row=has_row)
        if after is None:
            assert not has_row
            after = log.applied(lease_no, last=last, day=7, has_row=True)
            assert after is not None
        elif not has_row:
            without_row.add(lease_no)
        log, last = after, lease_no
        reported.add(lease_no)

    known = {lease_no for lease_no in range(last + 3) if log.knows(lease_no, last=last)}
    assert without_row <= known <= reported


def test_a_task_that_is_always_reported_needs_one_range():
    log: LeaseLog | None = LeaseLog()
    for lease_no in range(5, 5_000):
        assert log is not None
        log = log.applied(lease_no, last=lease_no - 1, day=7, has_row=False)

    assert log == LeaseLog(5, b"")


def full(day: int) -> tuple[LeaseLog, int]:
    """A log without room, and its last lease: every second one was never reported."""
    log, last = LeaseLog(), 0
    while True:
        after = log.applied(last + 2, last=last, day=day, has_row=False)
        if after is None:
            return log, last
        log, last = after, last + 2


def test_a_log_that_is_full_still_closes_its_last_range():
    log, last = full(day=7)

    closed = log.applied(last + 2, last=last, day=7, has_row=True)

    assert closed is not None
    assert closed.begin is None
    assert [closed.knows(lease_no, last=last + 2) for lease_no in range(1, 5)] == [
        False, True, False, True,
    ]  # fmt: skip
    assert closed.knows(last, last=last + 2)
    assert last == 2 * MOST_RANGES


def test_a_full_log_forgets_leases_of_which_no_result_is_taken_any_more():
    log, last = full(day=7)

    soon = log.applied(last + 2, last=last, day=7 + OUTDATED_DAYS, has_row=False)
    later = log.applied(last + 2, last=last, day=8 + OUTDATED_DAYS, has_row=False)

    assert soon is None
    assert later is not None
    assert later.knows(last, last=last + 2), "it ended today"
    assert not later.knows(2, last=last + 2)
