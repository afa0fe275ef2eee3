"""Slots: who waits for a website gives way to who has work to do."""

import pytest
from hypothesis import given, strategies as st

from argos.agent.slots import WAITS_AFTER_S, Slots, most_under_way
from tests.hand_clock import HandClock


def test_each_probe_takes_a_slot_until_it_ends():
    slots = Slots(2, clock=HandClock())

    slots.begin("a")
    slots.begin("b")
    assert (slots.free, slots.at_work, slots.waiting) == (0, 2, 0)

    slots.end("a")
    assert (slots.free, slots.at_work, slots.waiting) == (1, 1, 0)


def test_a_probe_that_waits_for_its_website_gives_its_slot_back():
    clock = HandClock()
    slots = Slots(2, clock=clock)
    slots.begin("sick")
    clock.seconds += WAITS_AFTER_S / 2
    slots.begin("young")
    assert slots.free_in_s() == pytest.approx(WAITS_AFTER_S / 2)

    clock.seconds += WAITS_AFTER_S / 2

    assert (slots.free, slots.at_work, slots.waiting) == (1, 1, 1)
    slots.end("sick")
    assert (slots.free, slots.at_work, slots.waiting) == (1, 1, 0)


def test_a_probe_that_has_not_begun_yet_does_not_wait_for_its_website():
    clock = HandClock()
    queue_s = 2.0
    slots = Slots(2, clock=clock, queue_s=lambda: queue_s)
    slots.begin("queued")
    clock.seconds += WAITS_AFTER_S

    assert (slots.free, slots.waiting) == (1, 0)
    assert slots.free_in_s() == pytest.approx(queue_s)
    queue_s = 0.0
    assert (slots.free, slots.waiting) == (2, 1)


def test_waiting_probes_have_an_end_too():
    clock = HandClock()
    slots = Slots(10, clock=clock, limit=12)
    for probe in range(10):
        slots.begin(probe)
    clock.seconds += WAITS_AFTER_S

    assert slots.free == 2
    assert slots.free_in_s() is None


def test_it_takes_longer_until_more_probes_wait_for_their_websites():
    clock = HandClock()
    slots = Slots(4, clock=clock)
    for probe in range(3):
        slots.begin(probe)
        clock.seconds += 0.25

    waits = [slots.free_in_s(count) for count in (1, 2, 3, 4)]

    assert waits == [
        pytest.approx(WAITS_AFTER_S - seconds) for seconds in (0.75, 0.5, 0.25, 0.25)
    ]


def test_nothing_comes_free_by_itself_when_nothing_is_under_way():
    assert Slots(1, clock=HandClock()).free_in_s() is None


def test_the_end_of_a_probe_that_never_began_changes_nothing():
    slots = Slots(1, clock=HandClock())

    slots.end("a")

    assert slots.free == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.floats(0, 2))))
def test_what_is_under_way_is_at_work_or_waits(steps: list[tuple[bool, int, float]]):
    clock = HandClock()
    slots = Slots(3, clock=clock)
    under_way: dict[int, float] = {}
    for begins, probe, seconds in steps:
        if begins and probe not in under_way:
            slots.begin(probe)
            under_way[probe] = clock.seconds
        elif not begins:
            slots.end(probe)
            under_way.pop(probe, None)
        clock.seconds += seconds

        young = [
            began_at
            for began_at in under_way.values()
            if began_at > clock.seconds - WAITS_AFTER_S
        ]
        assert slots.at_work == len(young)
        assert slots.waiting == len(under_way) - len(young)


@pytest.mark.parametrize(
    ("most_per_worker", "expected"),
    [(None, 2100), (10_000, 2100), (480, 960), (10, 100)],
    ids=["without a limit", "enough", "some", "too few"],
)
def test_few_descriptors_leave_room_for_fewer_that_wait(most_per_worker, expected):
    found = most_under_way(100, workers=2, most_per_worker=most_per_worker)

    assert found == expected
