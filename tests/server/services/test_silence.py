"""Silent agents: when it is told, called to mind, and taken back."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from argos.channels import NoticeKind
from argos.server.services.silence import Silence, look

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
TOLERATED = timedelta(minutes=5)
ALARM, BACK = NoticeKind.NO_AGENT, NoticeKind.AGENT_BACK


def watch(
    seen: dict[int, int] | None, *, looks: list[int], note: Silence | None = None
) -> list[tuple[int, NoticeKind]]:
    """What is told at which minute; `seen` gives the last sighting from a minute on."""
    told = []
    for minute in looks:
        known = [at for since, at in (seen or {}).items() if since <= minute]
        last = START + timedelta(minutes=known[-1]) if known else None
        finding = look(
            note,
            now=START + timedelta(minutes=minute),
            last_seen_at=last,
            tolerated=TOLERATED,
        )
        note = Silence.read(finding.silence.write())
        if finding.news:
            told.append((minute, finding.news))
    return told


EACH_MINUTE = list(range(200))


@pytest.mark.parametrize(
    ("seen", "looks", "told"),
    [
        ({minute: minute for minute in EACH_MINUTE}, EACH_MINUTE, []),
        (None, range(4), []),
        (None, EACH_MINUTE, [(5, ALARM), (65, ALARM), (125, ALARM), (185, ALARM)]),
        ({0: 0, 10: 10}, range(15), [(5, ALARM), (10, BACK)]),
        ({0: -600}, range(5), []),
        ({0: -600}, range(6), [(5, ALARM)]),
        ({0: 0, 3: 2, 9: 9}, range(12), [(7, ALARM), (9, BACK)]),
        (
            {0: 0, 10: 10, 30: 30},
            range(31),
            [(5, ALARM), (10, BACK), (15, ALARM), (30, BACK)],
        ),
        ({0: 0, 100: 100}, [0, 1, 2, 3, 100, 101, 102], []),
        ({0: 0}, [0, 1, 2, 3, 100, 101, 102, 103, 104], []),
        ({0: 0}, [0, 1, 2, 3, 100, 101, 102, 103, 104, 105], [(105, ALARM)]),
        ({0: 0}, [0, 1, 2, 3, 4, 5, 300, 301, 302], [(5, ALARM)]),
        ({0: 0}, [100, 101, 102, 1, 2, 3, 4], []),
    ],
    ids=[
        "agents at work",
        "just begun",
        "never an agent: told once, then reminders",
        "gone and back",
        "server was away for long, agents get their time",
        "server was away for long, agents do not come",
        "silence begins with the last sighting",
        "gone twice",
        "server was away, agents come back first",
        "server was away, agents still have time",
        "server was away, agents stay away",
        "no reminder right after the server was away",
        "clock was set back",
    ],
)
def test_silence_is_told(seen, looks, told):
    assert watch(seen, looks=list(looks)) == told


@given(st.lists(st.booleans(), max_size=100))
def test_alarms_and_recoveries_alternate_but_for_reminders(present):
    minutes = [minute for minute, is_present in enumerate(present) if is_present]
    seen = {0: 0} | {minute: minute for minute in minutes}

    told = watch(seen, looks=list(range(len(present))))

    kinds = [kind for _, kind in told]
    assert BACK not in kinds[:1]
    assert not any(pair == (BACK, BACK) for pair in pairwise(kinds))
    for (first, kind), (second, other) in pairwise(told):
        if (kind, other) == (ALARM, ALARM):
            assert second - first >= 60
