from datetime import UTC, datetime, timedelta

import pytest

from argos.core.escalation import EscalationStep, Progress, due_steps, is_reminder_due

TOLD_AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIRST = EscalationStep(30 * MINUTE, ["second-line"])
SECOND = EscalationStep(60 * MINUTE, ["boss"])


def _progress(**values):
    return Progress(told_at=TOLD_AT, last_told_at=TOLD_AT, **values)


@pytest.mark.parametrize(
    ("minutes", "done", "due"),
    [
        (29, 0, []),
        (30, 0, [FIRST]),
        (59, 1, []),
        (60, 1, [SECOND]),
        (500, 0, [FIRST, SECOND]),
        (500, 2, []),
    ],
)
def test_steps_come_in_their_order_and_once_each(minutes, done, due):
    now = TOLD_AT + minutes * MINUTE

    assert due_steps([SECOND, FIRST], _progress(steps_done=done), now=now) == due


def test_nobody_else_is_woken_once_somebody_looks_after_it():
    progress = _progress(is_acknowledged=True)

    assert not due_steps([FIRST], progress, now=TOLD_AT + 99 * MINUTE)
    assert not is_reminder_due(MINUTE, progress, now=TOLD_AT + 99 * MINUTE)


@pytest.mark.parametrize(
    ("interval", "minutes", "is_due"),
    [(None, 9999, False), (60 * MINUTE, 59, False), (60 * MINUTE, 60, True)],
)
def test_a_reminder_comes_after_its_interval_without_news(interval, minutes, is_due):
    now = TOLD_AT + minutes * MINUTE

    assert is_reminder_due(interval, _progress(), now=now) is is_due
