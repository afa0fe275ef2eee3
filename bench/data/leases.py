"""Whether a lease is ever given twice, and how long a call for one takes, HTTP and all.

Agents in processes and threads of their own lease from several server processes and
report; all groups are due from the start and soon again. Some agents die with what they
leased, some report when the lease is long over, some report twice. In the end every lease
is compared with every other, the database and the reports. From the repository's root:

    python -m bench.data.leases --database postgresql
    python -m bench.data.leases --database sqlite --leases 20000
    python -m bench.data.leases --database postgresql --tasks 1000000 --only-lease --rate 1600

`--rate` paces the calls, in groups a second of all agents together, each at moments of
its own; without it they ask as fast as they are answered, which measures the machine's
two cores and not the queue.
"""

import argparse
import heapq
import multiprocessing
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402  # the path first
from sqlalchemy import text  # noqa: E402  # the path first

from argos.clock import utcnow  # noqa: E402  # the path first
from argos.core.schedule import LEASE_MARGIN  # noqa: E402  # the path first
from argos.server.database import Database  # noqa: E402  # the path first
from bench.data.fleet import CHECKS, Fleet  # noqa: E402
from bench.data.reckoning import (  # noqa: E402
    cpu_seconds,
    quantile_ms,
    recount,
    say,
)
from bench.data.running import RunningServer, make_database, run_server  # noqa: E402
from tests.server.factories import SECRET, make_config  # noqa: E402

THREADS = 4
"""Agents in one process."""
TIMEOUT_S = 1.0
HELD_S = TIMEOUT_S + LEASE_MARGIN.total_seconds()
PERIOD_MIN = 0.05
NOTHING = b"[]"
KEPT_OPEN_S = 2.0
"""How long a connection is not used before it is opened anew."""
LOST, LATE, REPEATED = 0.03, 0.03, 0.05
"""Which shares of the batches meet with what."""


class Handed(msgspec.Struct, gc=False):
    """What matters of a task as it comes from the server."""

    id: int
    group_id: int
    lease_no: int
    leased_at: datetime


_decode = msgspec.json.Decoder(list[Handed]).decode


class Held(NamedTuple):
    """A lease, as an agent got it."""

    group_id: int
    lease_no: int
    leased_at: float
    answered_at: float
    reported_at: float
    """When its report was begun; 0: never."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the agents of one process do."""

    url: str
    names: Sequence[str]
    limit: int
    leases: int
    """Of each agent."""
    pause_s: float
    """From call to call, in the mean; 0: as fast as it is answered."""
    ends_at: float
    reports: bool


@dataclass(slots=True)
class Tally:
    """What came of it, for one agent or for all."""

    held: list[Held] = field(default_factory=list)
    calls_s: list[float] = field(default_factory=list)
    """From the request to the last byte of the answer."""
    seconds: float = 0.0
    stored: int = 0
    late: int = 0
    repeated: int = 0

    def add(self, other: "Tally") -> None:
        """Take over what another one has."""
        self.held += other.held
        self.calls_s += other.calls_s
        self.seconds = max(self.seconds, other.seconds)
        self.stored += other.stored
        self.late += other.late
        self.repeated += other.repeated


class Agent:
    """One agent, which looks after nothing but its leases."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan, self._name = plan, name
        self._connection = HTTPConnection(urlsplit(plan.url).netloc, timeout=60)
        self._dice = random.Random(name)
        self._late: list[tuple[float, int, list[Handed]]] = []
        self._reported: dict[tuple[int, int], float] = {}
        self._bodies: list[tuple[float, bytes]] = []
        """Answers with the moments at which they came, read when all is over."""
        self._tally = Tally()
        self._called_at = 0.0
        query = {"agent_id": name, "limit": plan.limit, "capabilities": "ipv6"}
        self._lease_path = f"/api/tasks?{urlencode(query)}"
        self._report_path = f"/api/results?{urlencode({'agent_id': name})}"

    def run(self) -> Tally:
        """Lease and report until there were enough."""
        begin = next_at = time.monotonic()
        while (
            len(self._bodies) * self._plan.limit < self._plan.leases
            and time.time() < self._plan.ends_at
        ):
            next_at += self._pause_s()
            time.sleep(max(0.0, next_at - time.monotonic()))
            body = self._lease()
            if body == NOTHING:
                time.sleep(0.05)
            elif self._plan.reports:
                self._treat(_decode(body))
            self._report_late()
        self._tally.seconds = time.monotonic() - begin
        self._report_late(waits=True)
        for answered_at, body in self._bodies:
            self._tally.held += self._held(_decode(body), answered_at)
        return self._tally

    def _pause_s(self) -> float:
        """As between people who know nothing of each other."""
        mean_s = self._plan.pause_s
        return self._dice.expovariate(1 / mean_s) if mean_s else 0.0

    def _lease(self) -> bytes:
        begin = time.perf_counter()
        body = self._call("GET", self._lease_path)
        self._tally.calls_s.append(time.perf_counter() - begin)
        if body != NOTHING:
            self._bodies.append((time.time(), body))
        return body

    def _held(self, tasks: Sequence[Handed], answered_at: float) -> Iterator[Held]:
        leases = {
            (task.group_id, task.lease_no): task.leased_at.timestamp() for task in tasks
        }
        for key, leased_at in leases.items():
            yield Held(*key, leased_at, answered_at, self._reported.get(key, 0.0))

    def _treat(self, tasks: list[Handed]) -> None:
        fate = self._dice.random()
        if fate < LOST:
            return
        if fate < LOST + LATE:
            entry = (time.time() + HELD_S + 2, len(self._bodies), tasks)
            heapq.heappush(self._late, entry)
            self._tally.late += len(tasks)
            return
        ids = self._report(tasks)
        if fate < LOST + LATE + REPEATED:
            assert self._report(tasks) == ids, "a repeated report got other ids"
            self._tally.repeated += len(tasks)

    def _report_late(self, *, waits: bool = False) -> None:
        while self._late and (waits or self._late[0][0] <= time.time()):
            moment, _, tasks = heapq.heappop(self._late)
            time.sleep(max(0.0, moment - time.time()))
            self._report(tasks)

    def _report(self, tasks: Sequence[Handed]) -> list[int]:
        items = [
            {
                "task_id": task.id,
                "status": "success",
                "context": {"expected": 200, "retrieved": 200},
                "lease_no": task.lease_no,
                "leased_at": task.leased_at,
                "elapsed_us": 1_000,
            }
            for task in tasks
        ]
        now = time.time()
        keys = {(task.group_id, task.lease_no) for task in tasks}
        if not keys & self._reported.keys():
            self._tally.stored += len(tasks)
        for key in keys:
            self._reported.setdefault(key, now)
        answer = self._call("POST", self._report_path, msgspec.json.encode(items))
        document = msgspec.json.decode(answer)
        assert not document["refused"], document["refused"][0]
        ids: list[int] = document["result_ids"]
        return ids

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {SECRET}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if time.monotonic() > self._called_at + KEPT_OPEN_S:
            self._connection.close()  # as the server may have, or is about to
        self._connection.request(method, path, body=body, headers=headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status in {200, 201}, content
        self._called_at = time.monotonic()
        return content


def work(plan: Plan) -> Tally:
    """Run the agents of one process."""
    total = Tally()
    with ThreadPoolExecutor(len(plan.names)) as pool:
        for tally in pool.map(lambda name: Agent(plan, name).run(), plan.names):
            total.add(tally)
    return total


def main() -> None:
    """Measure, compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], required=True)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--leases", type=int, default=200_000)
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2, help="server processes")
    parser.add_argument("--limit", type=int, default=100, help="groups a call")
    parser.add_argument(
        "--rate", type=float, nargs="*", default=[0], help="groups/s; 0: all it can"
    )
    parser.add_argument("--seconds", type=float, default=300, help="at most")
    parser.add_argument("--only-lease", action="store_true", help="report nothing")
    options = parser.parse_args()
    fleet = Fleet(groups=options.tasks // len(CHECKS))
    with TemporaryDirectory() as folder, make_database(options.database) as url:
        fleet.fill(url)
        _quicken(url)
        tally = Tally()
        say(
            f"{options.database}, {options.tasks} tasks, {options.agents} agents,"
            f" {options.workers} server processes, {options.limit} groups a call:"
        )
        make_config(Path(folder), url=url)
        config = Path(folder) / "config.yaml"
        with run_server(config, workers=options.workers) as server:
            for rate in options.rate:
                tally.add(_measure(options, rate, server))
        _prove(url, tally)


def _measure(options: argparse.Namespace, rate: float, server: RunningServer) -> Tally:
    before = cpu_seconds(server.pid)
    tally = _run(options, rate, server.address)
    cpu = cpu_seconds(server.pid) - before
    say(
        f"  {f'{rate:,.0f} groups/s' if rate else 'flat out'}: {len(tally.held):,} leases"
        f" in {tally.seconds:.0f} s, p50/p99 {quantile_ms(tally.calls_s)} ms a call,"
        f" server {cpu / max(len(tally.held), 1) * 1e6:.0f} us of CPU per lease,"
        f" at {utcnow():%H:%M} UTC, load {os.getloadavg()[0]:.0f}"
    )
    return tally


def _quicken(url: str) -> None:
    """Let groups be due again soon, and their leases be short."""
    database = Database(url)
    with database.transaction() as session:
        values = {"minutes": PERIOD_MIN, "timeout_s": TIMEOUT_S}
        change = "UPDATE schedule SET frequency = :minutes, timeout_s = :timeout_s"
        session.execute(text(change), values)
    if not database.is_sqlite:
        with database.outside() as connection:
            connection.exec_driver_sql("VACUUM schedule")
    database.close()


def _run(options: argparse.Namespace, rate: float, address: str) -> Tally:
    names = [f"agent-{place}" for place in range(options.agents)]
    plans = [
        Plan(
            url=address,
            names=names[start : start + THREADS],
            limit=options.limit,
            leases=-(-options.leases // options.agents),
            pause_s=options.limit * options.agents / rate if rate else 0,
            ends_at=time.time() + options.seconds,
            reports=not options.only_lease,
        )
        for start in range(0, len(names), THREADS)
    ]
    total = Tally()
    with multiprocessing.get_context("spawn").Pool(len(plans)) as pool:
        for tally in pool.map(work, plans):
            total.add(tally)
    return total


def _prove(url: str, tally: Tally) -> None:
    """Compare what agents got with each other, and with what the database says."""
    keys = {held[:2] for held in tally.held}
    database = Database(url)
    with database.reading() as session:
        given = session.scalar(text("SELECT sum(lease_no) FROM schedule"))
        stored = session.scalar(text("SELECT count(*) FROM results"))
    database.close()
    say(
        f"  given twice: {len(tally.held) - len(keys)};"
        f" held by two at a time: {_count_overlaps(tally.held)};"
        f" given out by the database: {given:,}, received: {len(tally.held):,}"
        f"\n  results reported: {tally.stored:,} ({tally.late:,} late,"
        f" {tally.repeated:,} twice), stored: {stored:,}"
        f"\n  rollups recounted from the results: {recount(url)}"
    )


def _count_overlaps(held: Iterable[Held]) -> int:
    """How often a group was given away while another agent had it in hand."""
    by_group: dict[int, list[Held]] = defaultdict(list)
    for one in held:
        by_group[one.group_id].append(one)
    count = 0
    for leases in by_group.values():
        leases.sort(key=lambda one: one.lease_no)
        for first, second in pairwise(leases):
            is_over = second.leased_at >= first.leased_at + HELD_S
            # A report that was begun before the answer came may have ended it.
            is_done = 0 < first.reported_at <= second.answered_at
            count += not (is_over or is_done)
    return count


if __name__ == "__main__":
    main()
