"""When an agent asks for more."""

import asyncio

import pytest

from argos.agent.probing import plan_probes
from argos.agent.roster import Assignment, Roster
from argos.agent.slots import WAITS_AFTER_S, Slots
from argos.clock import system_clock
from tests.agent.doubles import make_tasks
from tests.hand_clock import HandClock


async def test_who_waits_for_free_slots_is_woken_once_there_are_enough() -> None:
    begun: list[Assignment] = []
    slots = Slots(8, clock=system_clock)
    roster = Roster(slots, clock=system_clock, begin=begun.append)
    now = system_clock.monotonic()
    groups = plan_probes(make_tasks(8)).groups
    roster.add(Assignment(group, now) for group in groups)
    waiting = asyncio.create_task(roster.until_wanted(4))
    await asyncio.sleep(0)

    for assignment in begun[:3]:
        roster.end(assignment)
    assert not roster._changed.is_set()
    roster.end(begun[3])
    await asyncio.wait_for(waiting, 5)

    assert roster.wanted == 4


async def test_who_waits_for_free_slots_is_woken_when_told_to_stop() -> None:
    slots = Slots(1, clock=system_clock)
    roster = Roster(slots, clock=system_clock, begin=lambda assignment: None)
    waiting = asyncio.create_task(roster.until_wanted(2))
    await asyncio.sleep(0)

    roster.stop()

    await asyncio.wait_for(waiting, 5)


async def test_who_waits_for_free_slots_sleeps_until_so_many_probes_are_old() -> None:
    loop = asyncio.get_running_loop()
    clock = HandClock()
    slots = Slots(4, clock=clock)
    roster = Roster(slots, clock=clock, begin=lambda assignment: None)
    for group in plan_probes(make_tasks(4)).groups:
        roster.add([Assignment(group, clock.monotonic())])
        clock.seconds += 0.1
    waiting = asyncio.create_task(roster.until_wanted(3))
    before = loop.time()
    await asyncio.sleep(0)

    timers: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]  # asyncio tells nobody
    (timer,) = [each for each in timers if not each.cancelled()]

    assert timer.when() - before == pytest.approx(WAITS_AFTER_S - 0.2, abs=0.05)
    waiting.cancel()
