"""An agent's CPU budget, on a machine of arithmetic."""

import os
import subprocess
import sys

import pytest

from argos.agent.load import SAMPLE_S, SLOWEST, LoadGauge, ProcessTimes
from tests.hand_clock import HandClock

COST_S = 0.001
"""Of CPU, for each task group."""
CORES = 2


class Machine:
    """Takes on what the gauge allows, and pays for it."""

    def __init__(self, *, budget: float = 0.5, demand: float = 5_000.0) -> None:
        self.clock = HandClock()
        self.cpu_s = 0.0
        self.demand = demand
        self.done = 0
        self.gauge = LoadGauge(
            lambda: self.cpu_s, clock=self.clock, cores=CORES, budget=budget
        )

    def work(self, seconds: float, *, lag_s: float = 0.0) -> float:
        """Go on for so long; how many groups a second were done."""
        begin = self.done
        steps = round(seconds / 0.1)
        for step in range(steps):
            wanted = round(min(self.demand, CORES / COST_S) * 0.1)
            allowance = self.gauge.allowance
            taken = wanted if allowance is None else max(1, min(wanted, allowance))
            self.gauge.take(taken)
            self.done += taken
            self.cpu_s += taken * COST_S
            self.clock.seconds += 0.1
            if step % round(SAMPLE_S / 0.1) == 0:
                self.gauge.sample(lag_s=lag_s)
        return (self.done - begin) / seconds


def test_an_agent_within_its_budget_takes_all_that_is_due() -> None:
    machine = Machine(demand=900)

    assert machine.work(30) == pytest.approx(900)
    load = machine.gauge.load
    assert load is not None
    assert load.cpu_percent == pytest.approx(45)
    assert not load.is_over_budget
    assert machine.gauge.allowance is None
    assert machine.gauge.pause_s == 0


def test_an_agent_over_its_budget_takes_as_much_as_the_budget_pays_for() -> None:
    machine = Machine()
    machine.work(10)

    rates = [machine.work(1) for _ in range(20)]

    load = machine.gauge.load
    assert load is not None
    assert load.is_over_budget
    # Half of two cores, at a millisecond for each.
    assert all(700 < rate < 1_150 for rate in rates), rates
    assert 35 < load.cpu_percent < 56


def test_an_agent_takes_all_again_once_less_is_due() -> None:
    machine = Machine()
    machine.work(20)
    machine.demand = 300

    machine.work(20)

    assert machine.gauge.allowance is None
    assert machine.work(5) == pytest.approx(300)


def test_even_a_hopeless_budget_lets_something_pass() -> None:
    machine = Machine(budget=0.0001)
    machine.work(10)

    assert machine.gauge.pause_s <= 1 / SLOWEST
    assert machine.work(10) >= SLOWEST


def test_the_lag_is_the_worst_of_the_last_seconds() -> None:
    machine = Machine(demand=10)
    assert machine.gauge.load is None
    machine.work(1, lag_s=0.25)
    machine.work(1)

    load = machine.gauge.load
    assert load is not None
    assert load.lag_ms == 250

    machine.work(5)
    load = machine.gauge.load
    assert load is not None
    assert load.lag_ms == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_that_have_ended_still_count() -> None:
    burn = "n = 0\nwhile n < 3_000_000: n += 1\nprint(flush=True)\ninput()"
    pids: list[int] = []
    ticks = os.sysconf("SC_CLK_TCK")
    times = ProcessTimes(lambda: 1.0, lambda: pids, ticks_per_s=ticks)
    assert times() == 1.0
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pids.append(process.pid)
        with_it = times()
        assert with_it > 1.0
        process.communicate(b"\n")
    assert times() == with_it
    pids.clear()
    assert times() == with_it
