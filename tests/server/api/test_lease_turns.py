"""Few leases are given at a time, in turn, and reports do not wait for them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from argos.server.routes.waiting import LEASE_THREADS
from argos.server.services import lease
from argos.server.services.lease import LeaseAnswer

AGENTS = 2 * LEASE_THREADS
PATIENCE_S = 30


class Counter:
    """Holds leases back until it is told to let them go."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.is_busy = threading.Event()
        """As many are under way as may be."""
        self.most = 0
        self._count = 0
        self._lock = threading.Lock()

    def lease(self, *_: Any, **__: Any) -> LeaseAnswer:
        with self._lock:
            self._count += 1
            self.most = max(self.most, self._count)
            if self._count == LEASE_THREADS:
                self.is_busy.set()
        assert self.may_go.wait(PATIENCE_S)
        with self._lock:
            self._count -= 1
        return LeaseAnswer()


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    monkeypatch.setattr(lease, "lease", counter.lease)
    return counter


def test_leases_take_turns_and_reports_go_on(agent_client, counter):
    with ThreadPoolExecutor(AGENTS) as agents:
        calls = [agents.submit(agent_client.get, "/api/tasks") for _ in range(AGENTS)]
        assert counter.is_busy.wait(PATIENCE_S)
        reported = agent_client.post("/api/results", json=[])
        counter.may_go.set()
        answers = [call.result() for call in calls]

    assert reported.status_code == 201
    assert [answer.json() for answer in answers] == [[]] * AGENTS
    assert counter.most == LEASE_THREADS
