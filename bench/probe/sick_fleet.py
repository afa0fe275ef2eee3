"""Do sick websites delay healthy ones? `python -m bench.probe.sick_fleet`.

One agent, a real server on SQLite, and thousands of websites at loopback addresses of
their own. Some of them are sick: they take the connection and never answer, have a full
accept queue, drip a byte every five seconds, or reset in the middle of the body. What is
told, for each mix: how much of what was due was visited, how far each repeated visit of a
healthy website lay behind its instant on the grid, and whether the server's database has
a bad word about a healthy website, or a good one about a sick one.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from argos.core.schedule import EPOCH, effective_period, grid_offset
from bench.agent.measuring import cpu_seconds, memory_mib
from bench.probe.sites import Fleet, Health, Visits, make_fleet, running_sites
from tests.e2e.installation import Installation, make_config
from tests.e2e.programs import family_of, free_port
from tests.e2e.waiting import Stopwatch, wait_until

EVERY_S = 60.0
TAIL_S = 1.0
"""A visit that fell due so shortly before the end need not have come."""
WORDS = {
    Health.HANGS: "timeout",
    Health.FULL: "timeout",
    Health.DRIPS: "timeout",
    Health.RESETS: "protocol",
}
"""What the server is to be told of sick websites."""


def _mix(count: int, **shares: float) -> list[Health]:
    sick = [
        Health(health)
        for health, share in shares.items()
        for _ in range(round(count * share) if share < 1 else int(share))
    ]
    return sick + [Health.FINE] * (count - len(sick))


SCENARIOS: dict[str, list[Health]] = {
    "healthy": _mix(2000),
    "5 % sick": _mix(2000, hangs=0.025, full=0.025),
    "5 % sick, one drips": _mix(2000, hangs=0.025, full=0.025, drips=1),
    "1 % reset": _mix(2000, resets=0.01),
    "30 % of 400 hang": _mix(400, hangs=0.3),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured in one scenario."""

    due: int
    visits: int
    """Of healthy websites."""
    sites: int
    visited: int
    slips_s: Sequence[float]
    bad_healthy: int
    """Healthy websites of which the server has a result that is no success."""
    told_sick: int
    """Sick websites whose results all say what is wrong."""
    sick: int
    cpu_ms: tuple[float, float]
    """Of the agent and of the server, for each visit."""
    memory_mib: float
    """Of the agent with its workers, at the end (PSS)."""


def main() -> None:
    """Read the options, run, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.probe.sick_fleet", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=130.0, help="per scenario")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument(
        "--against",
        type=Path,
        metavar="COMMAND",
        help="another Argos, such as the command of an installed 0.10.3",
    )
    parser.add_argument(
        "--agent-option", action="append", default=[], help="for the agent, as it is"
    )
    options = parser.parse_args()
    print(_HEADINGS)
    for name in options.scenario or SCENARIOS:
        print(_row(name, measure(SCENARIOS[name], options)), flush=True)


def measure(healths: Sequence[Health], options: argparse.Namespace) -> Figures:
    """Let an agent visit the fleet for a while."""
    fleet = make_fleet(free_port(), healths)
    with tempfile.TemporaryDirectory(prefix="argos-bench-") as name:
        argos = _prepare(Path(name) / "argos", fleet)
        if options.against is not None:
            argos = argos.with_command([options.against])
        argos.prepare()
        with (
            running_sites(fleet) as visits,
            argos.start_server() as server,
            argos.agent("one", *options.agent_option) as agent,
        ):
            since = Stopwatch()
            window_s = options.seconds
            wait_until(
                lambda: since.elapsed_s >= window_s,
                within_s=window_s + 60,
                what="the end of the window",
            )
            ended_at = datetime.now(UTC)
            agents, servers = family_of(agent.pid), family_of(server.pid)
            cpu_s = cpu_seconds(agents), cpu_seconds(servers)
            memory = memory_mib(agents, "Pss")
        grids = {} if options.against is not None else _grids(argos)
        return _sum_up(
            argos, fleet, visits, grids=grids, ended_at=ended_at,
            costs=(*cpu_s, memory),
        )  # fmt: skip


def _prepare(folder: Path, fleet: Fleet) -> Installation:
    websites = [
        {
            "domain": fleet.url(address),
            "paths": [{"path": "/", "checks": [{"status-is": 200}]}],
        }
        for address in fleet.healths
    ]
    config = make_config(
        websites,
        database_url="sqlite:///argos.db",
        general={"frequency": f"{EVERY_S:g}s"},
    )
    return Installation(folder, config)


def _grids(argos: Installation) -> dict[str, timedelta]:
    """Where in the period the instants of each address lie."""
    rows = argos.select(
        "SELECT t.url, s.key FROM tasks t JOIN schedule s ON s.id = t.group_id"
    )
    period = effective_period(timedelta(seconds=EVERY_S))
    return {_address(url): grid_offset(key, period) for url, key in rows}


def _address(url: str) -> str:
    return url.removeprefix("http://").partition(":")[0]


def _sum_up(
    argos: Installation,
    fleet: Fleet,
    visits: Visits,
    *,
    grids: Mapping[str, timedelta],
    ended_at: datetime,
    costs: tuple[float, float, float],
) -> Figures:
    healthy = fleet.of(Health.FINE)
    until = ended_at - timedelta(seconds=TAIL_S)
    times = {key: [_moment(time) for time in visits.times[key]] for key in healthy}
    count = sum(map(len, times.values()))
    verdicts = _verdicts(argos)
    bad = [key for key in healthy if verdicts.get(key, {"success"}) != {"success"}]
    sick = [key for key in fleet.healths if fleet.healths[key] is not Health.FINE]
    told = [key for key in sick if verdicts.get(key) == {WORDS[fleet.healths[key]]}]
    agent_s, server_s, memory = costs
    return Figures(
        due=sum(1 + len(_due(times[key], grids.get(key), until)) for key in healthy),
        visits=sum(
            1 + len(_due(times[key], grids.get(key), until, made=True))
            for key in healthy
            if times[key]
        ),
        sites=len(healthy),
        visited=sum(bool(times[key]) for key in healthy),
        slips_s=[
            slip for key in healthy for slip in _slips(times[key], grids.get(key))
        ],
        bad_healthy=len(bad),
        told_sick=len(told),
        sick=len(sick),
        cpu_ms=(agent_s / count * 1000, server_s / count * 1000),
        memory_mib=memory,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _due(
    times: Sequence[datetime],
    offset: timedelta | None,
    until: datetime,
    *,
    made: bool = False,
) -> list[datetime]:
    """The instants after the first visit; with `made`, those that were kept."""
    if not times or offset is None:
        return []
    period = timedelta(seconds=EVERY_S)
    first = EPOCH + offset + ((times[0] - EPOCH - offset) // period + 1) * period
    instants = []
    while first <= until:
        instants.append(first)
        first += period
    if not made:
        return instants
    return [
        instant
        for instant in instants
        if any(instant <= time < instant + period for time in times[1:])
    ]


def _slips(times: Sequence[datetime], offset: timedelta | None) -> Iterator[float]:
    """How far each repeated visit lay behind its instant; without a grid, the period."""
    period = timedelta(seconds=EVERY_S)
    for earlier, later in itertools.pairwise(times):
        if offset is None:
            yield (later - earlier - period).total_seconds()
        else:
            yield ((later - EPOCH - offset) % period).total_seconds()


def _verdicts(argos: Installation) -> dict[str, set[str]]:
    """What the database has of each address: `success`, or kinds of failure."""
    verdicts: dict[str, set[str]] = {}
    rows = argos.select(
        "SELECT t.url, r.status, r.context FROM results r JOIN tasks t ON t.id = r.task_id"
    )
    for url, status, context in rows:
        word = str(status).lower()
        if word != "success":
            word = next((kind for kind in WORDS.values() if kind in context), word)
        verdicts.setdefault(_address(url), set()).add(word)
    return verdicts


_HEADINGS = (
    f"{'':21}{'due kept':>14}{'sites visited':>16}{'slip p50/p99/max s':>25}"
    f"{'healthy bad':>13}{'sick told':>12}{'agent+server ms':>17}{'agent MiB':>11}"
)


def _row(name: str, figures: Figures) -> str:
    slips = sorted(figures.slips_s) or [float("nan")]
    quantiles = [slips[int(len(slips) * share)] for share in (0.5, 0.99)]
    slip = "/".join(f"{value:.3f}" for value in [*quantiles, slips[-1]])
    cpu = "+".join(f"{value:.2f}" for value in figures.cpu_ms)
    return (
        f"{name:21}{f'{figures.visits}/{figures.due}':>14}"
        f"{f'{figures.visited}/{figures.sites}':>16}{slip:>25}"
        f"{figures.bad_healthy:>13}{f'{figures.told_sick}/{figures.sick}':>12}"
        f"{cpu:>17}{figures.memory_mib:>11.0f}"
    )


if __name__ == "__main__":
    main()
