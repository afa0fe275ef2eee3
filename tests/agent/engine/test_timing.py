"""The log of stalls looks back exactly as far as it is asked to."""

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings, strategies as st

from argos.agent.engine.timing import RunQueue, StallLog
from tests.hand_clock import HandClock


def stall(log: StallLog, clock: HandClock, length: float) -> None:
    log.begin(clock.seconds)
    clock.seconds += length
    log.end(clock.seconds)
    log.begin(clock.seconds)


def test_longest_stall_since_a_moment_is_found():
    clock = HandClock()
    log = StallLog(clock)
    stall(log, clock, 5.0)
    after_first = clock.seconds + 0.001
    clock.seconds += 1
    stall(log, clock, 0.5)
    stall(log, clock, 0.1)

    assert log.longest_since(0) == 5.0
    assert log.longest_since(after_first) == 0.5


def test_present_stall_counts_before_it_has_ended():
    clock = HandClock()
    log = StallLog(clock)
    log.begin(clock.seconds)
    clock.seconds += 2

    assert log.longest_since(clock.seconds) == 2


def test_oversleeping_counts_as_a_stall():
    clock = HandClock()
    log = StallLog(clock)
    log.begin(clock.seconds - 0.25)
    log.end(clock.seconds)

    assert log.longest_since(0) == 0.25


def test_loop_that_is_only_waiting_has_no_stall():
    clock = HandClock()
    log = StallLog(clock)
    log.begin(clock.seconds + 10)

    assert log.longest_since(0) == 0.0


def test_distant_past_is_forgotten():
    clock = HandClock()
    log = StallLog(clock)
    stall(log, clock, 5.0)
    clock.seconds += 1000
    stall(log, clock, 0.1)

    assert log.longest_since(0) < 0.2


@settings(deadline=None)  # the machine may be busy with other tests
@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=50), st.data())
def test_answer_is_that_of_a_plain_search(lengths, data):
    clock = HandClock()
    log = StallLog(clock)
    ends = []
    for length in lengths:
        stall(log, clock, length)
        ends.append((clock.seconds, length))
    since = data.draw(st.sampled_from([end for end, _ in ends]))

    longest = max(length for end, length in ends if end >= since)
    assert abs(log.longest_since(since) - longest) < 1e-9


def test_waiting_for_a_cpu_is_counted_where_the_system_counts_it():
    queue = RunQueue()
    waited = queue.waited()
    queue.close()

    assert waited >= 0.0
    assert queue.waited() <= 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts it")
def test_thread_that_shares_its_cpu_waits_for_it():
    """Two processes on one core: each has to wait for the other half of the time."""
    core = {min(os.sched_getaffinity(0))}
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(rival.pid, core)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)
    queue = RunQueue()
    until = time.monotonic() + 0.5

    while time.monotonic() < until:
        pass
    waited = queue.waited()

    os.sched_setaffinity(0, before)
    rival.kill()
    rival.wait()
    queue.close()
    assert waited > 0.05
