"""When an agent asks for more."""

import asyncio

from argos.agent.probing import plan_probes
from argos.agent.roster import Assignment, Roster
from argos.agent.slots import Slots
from argos.clock import system_clock
from tests.agent.doubles import make_tasks


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
