"""Real servers in processes of their own: stopping, dying, and working side by side."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from argos.clock import utcnow
from argos.server.models import Result, Schedule
from tests.server.factories import SECRET, add_groups, make_config
from tests.tree import ROOT

pytestmark = pytest.mark.timeout(120)


class ServerProcess:
    """A server under uvicorn, as people start it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "uvicorn", "argos.server:app"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            cwd=ROOT,
            env={**os.environ, "ARGOS_YAML_FILE": str(folder / "config.yaml")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.agent = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {SECRET}"},
            timeout=60,
            trust_env=False,
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        pause = threading.Event()
        for _ in range(600):
            try:
                if self.agent.get("/readyz").is_success:
                    return
            except httpx2.TransportError:
                pause.wait(0.1)
        self.kill()
        raise AssertionError(self.output())

    def lease(self, agent: str, limit: int = 3, **more: Any) -> list[dict[str, Any]]:
        answer = self.agent.get(
            "/api/tasks",
            params={"agent_id": agent, "limit": limit, "capabilities": "", **more},
        )
        tasks: list[dict[str, Any]] = answer.raise_for_status().json()
        return tasks

    def post(self, agent: str, tasks: list[dict[str, Any]]) -> list[int]:
        items = [
            {
                "task_id": task["id"],
                "status": "success",
                "context": {},
                "lease_no": task["lease_no"],
                "leased_at": task["leased_at"],
                "elapsed_us": 1000,
            }
            for task in tasks
        ]
        answer = self.agent.post("/api/results", params={"agent_id": agent}, json=items)
        assert answer.status_code == 201
        ids: list[int] = answer.json()["result_ids"]
        return ids

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self.agent.close()

    def output(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read()


@pytest.fixture
def serve(migrated_url, tmp_path) -> Iterator[Callable[[], ServerProcess]]:
    make_config(tmp_path, url=migrated_url)
    servers: list[ServerProcess] = []

    def serve() -> ServerProcess:
        servers.append(ServerProcess(tmp_path))
        return servers[-1]

    yield serve
    for server in servers:
        server.kill()
        assert server.process.stdout is not None
        server.process.stdout.close()


def test_server_that_is_told_to_stop_lets_waiting_agents_go(serve):
    server = serve()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.lease, "anna", wait=50)
        threading.Event().wait(1)
        begin = monotonic()
        server.process.send_signal(signal.SIGTERM)
        tasks = waiting.result(20)
        status = server.process.wait(20)

    assert tasks == []
    assert monotonic() - begin < 10
    assert status in {0, -signal.SIGTERM}
    assert "Traceback" not in server.output()


def test_agent_that_hangs_up_gets_no_lease(serve, database):
    server = serve()
    with pytest.raises(httpx2.ReadTimeout):
        server.agent.get("/api/tasks", params={"wait": 50}, timeout=0.5)
    threading.Event().wait(2)
    with database.transaction() as session:
        add_groups(session, 3, due_at=utcnow())

    threading.Event().wait(2)

    with database.reading() as session:
        assert set(session.scalars(select(Schedule.lease_no))) == {0}
    assert len(server.lease("bert")) == 3


def test_acknowledged_results_survive_the_death_of_the_server(serve, database):
    with database.transaction() as session:
        add_groups(session, 20, due_at=utcnow())
    server = serve()
    acknowledged: list[int] = []
    for _ in range(5):
        acknowledged += server.post("anna", server.lease("anna"))

    server.kill()

    with database.reading() as session:
        stored = set(session.scalars(select(Result.id)))
        left = set(session.scalars(select(Schedule.id).where(Schedule.lease_no == 0)))
    assert len(acknowledged) == 15
    assert set(acknowledged) <= stored
    leased = serve().lease("bert", limit=50)
    assert left <= {task["group_id"] for task in leased}


def test_servers_on_one_database_share_out_all_work_without_overlap(serve, database):
    with database.transaction() as session:
        # Of ninety groups, one would be due again within a few seconds.
        ids = add_groups(session, 90, due_at=utcnow(), frequency=1e6)
    servers = [serve(), serve()]
    barrier = threading.Barrier(4)

    def work(place: int) -> list[tuple[int, int]]:
        server, agent = servers[place % 2], f"agent{place}"
        done: list[tuple[int, int]] = []
        barrier.wait()
        while tasks := server.lease(agent, limit=4):
            done += [(task["group_id"], task["lease_no"]) for task in tasks]
            assert len(server.post(agent, tasks)) == len(tasks)
        return done

    with ThreadPoolExecutor(4) as pool:
        done = [lease for leases in pool.map(work, range(4)) for lease in leases]

    assert sorted(done) == [(group_id, 1) for group_id in sorted(ids)]
    with database.reading() as session:
        assert len(session.scalars(select(Result.id)).all()) == 90
