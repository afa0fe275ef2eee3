"""When a task group runs next, after a run of which parts came one by one."""

from datetime import UTC, datetime, timedelta

from argos.server.queries.results import ScheduleRow
from argos.server.services.run import Run

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def row(**changes) -> ScheduleRow:
    fields = dict.fromkeys(ScheduleRow._fields)
    fields |= {"id": 1, "key": b"k" * 16, "frequency": 5.0, "missed_runs": 0, "pool": 0}
    return ScheduleRow(**{**fields, "lease_no": 1, "leased_by": "anna", **changes})


def next_run_of(schedule: ScheduleRow, ended_at: datetime) -> datetime:
    run = Run(schedule)
    run.end_at(ended_at)
    return run.end().next_run


def test_a_run_that_was_given_back_and_made_all_the_same_is_not_due_again():
    schedule = row(next_run=NOON - timedelta(seconds=7))

    assert next_run_of(schedule, NOON) > NOON


def test_the_rest_of_a_run_leaves_the_next_one_where_the_first_part_put_it():
    recheck = NOON + timedelta(seconds=20)

    assert next_run_of(row(next_run=recheck), NOON) == recheck


def test_the_rest_of_a_run_does_not_put_a_second_opinion_off():
    schedule = row(next_run=NOON, not_for="anna")

    assert next_run_of(schedule, NOON + timedelta(seconds=1)) == NOON


def test_a_planned_run_that_was_made_early_is_over():
    planned = NOON + timedelta(seconds=1)
    schedule = row(next_run=planned, leased_at=NOON)

    assert next_run_of(schedule, NOON) > planned
