import asyncio

from argos.server.routes.waiting import Waiting

LONG_S = 60.0


async def nap(waiting: Waiting) -> asyncio.Task[None]:
    """Somebody who naps, from now on."""
    task = asyncio.create_task(waiting.nap(LONG_S))
    await asyncio.sleep(0)
    return task


async def test_who_has_waited_longest_looks_again():
    waiting = Waiting()
    first, second = await nap(waiting), await nap(waiting)

    waiting.look_again()
    await asyncio.wait_for(first, LONG_S / 2)

    assert not second.done()
    waiting.look_again()
    await asyncio.wait_for(second, LONG_S / 2)


def test_nobody_has_to_look_again():
    Waiting().look_again()


async def test_the_end_wakes_all_and_lets_nobody_nap_any_more():
    waiting = Waiting()
    naps = [await nap(waiting), await nap(waiting)]

    waiting.end()
    await asyncio.wait_for(asyncio.gather(*naps), LONG_S / 2)

    await asyncio.wait_for(waiting.nap(LONG_S), LONG_S / 2)
