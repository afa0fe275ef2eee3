"""What happens in a simulated world, all of it decided by one number."""

import random
from dataclasses import dataclass, replace

HOUR_S = 3_600.0

ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe")

# Websites and seconds between two runs: so many runs that a day takes a second.
_SIZES = (
    (1, 1_200),
    (1, 1_800),
    (2, 3_600),
    (3, 3_600),
    (4, 5_400),
    (8, 7_200),
)


@dataclass(frozen=True, slots=True)
class Weather:
    """How likely each fault is, and how often what dies."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    """The server has done it, and the agent never hears: the most useful fault."""
    repeated: float = 0.0
    """The request arrives a second time, some seconds later."""
    longest_delay_s: float = 0.05
    busy: float = 0.0
    broken: float = 0.0
    lost_commit: float = 0.0
    unheard_commit: float = 0.0
    death: float = 0.0
    holdup: float = 0.0
    """A call is held up between two of its transactions."""
    unsent: float = 0.0
    """A channel takes nothing."""
    unconfirmed: float = 0.0
    """A channel takes a notice, and says that it failed."""
    agent_life_s: float = float("inf")
    server_life_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a seed decides."""

    seed: int
    servers: int
    agents: int
    sites: int
    checks: int
    """Tasks of each website."""
    period_s: int
    retries: int
    recheck_s: int | None
    zone: str
    weather: Weather
    reloads: int = 0
    clock_jumps: int = 0
    absences: int = 0
    """So often are all agents away for hours."""
    locations: int = 0
    """From so many places each website is watched."""
    quorum: int = 1
    """At so many of them a problem must be seen."""
    cut_offs: int = 0
    """So often is an agent cut off from everything but the servers."""
    away: int = 0
    """So often are all agents of a place away for a while."""
    keep: str = "all"
    """Which results have rows."""
    rough_s: float = 14 * HOUR_S
    settle_s: float = 1.5 * HOUR_S
    """What is under way when the storm ends still belongs to it."""
    calm_s: float = 8.5 * HOUR_S

    @property
    def duration_s(self) -> float:
        return self.rough_s + self.settle_s + self.calm_s

    @property
    def housework_s(self) -> float:
        """The pause between two looks of a server for housework, on the average."""
        if self.locations:
            # Whoever does not look for a minute begins to watch anew.
            return 35.0
        return min(1.5 * HOUR_S, self.calm_s / 5) * (1 + self.servers) / 2


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed; the same for ever, or its failures could not be kept."""
    rng = random.Random(seed)
    sites, period_s = rng.choice(_SIZES)
    return Scenario(
        seed=seed,
        servers=rng.choice([1, 1, 2, 3]),
        agents=rng.choice([1, 2, 2, 3, 4]),
        sites=sites,
        checks=rng.choice([1, 2, 5]),
        period_s=period_s,
        retries=rng.choice([0, 1, 2]),
        recheck_s=rng.choice([None, None, period_s // 4, period_s // 2]),
        zone=rng.choice(ZONES),
        weather=_weather(rng),
        reloads=rng.choice([0, 0, 1, 3]),
        clock_jumps=rng.choice([0, 0, 1, 3]),
        absences=rng.choice([0, 0, 0, 1]),
        keep=rng.choice(["all", "changes"]),
    )


def _weather(rng: random.Random) -> Weather:
    """Each kind of fault is absent, rare or frequent."""
    network = rng.choice([0.0, 0.5, 1.0])
    disk = rng.choice([0.0, 0.3, 1.0])
    channel = rng.choice([0.0, 0.5, 1.0])
    return Weather(
        lost_request=0.05 * network,
        lost_answer=0.1 * network,
        repeated=0.15 * network,
        longest_delay_s=rng.choice([0.05, 2.0]),
        busy=0.01 * disk,
        broken=0.005 * disk,
        lost_commit=0.02 * disk,
        unheard_commit=0.03 * disk,
        death=0.002 * disk,
        holdup=rng.choice([0.0, 0.05]),
        unsent=0.2 * channel,
        unconfirmed=0.1 * channel,
        agent_life_s=rng.choice([float("inf"), 2 * HOUR_S, 6 * HOUR_S]),
        server_life_s=rng.choice([float("inf"), 4 * HOUR_S]),
    )


STORM = Weather(
    lost_request=0.05,
    lost_answer=0.1,
    repeated=0.3,
    longest_delay_s=2.0,
    busy=0.005,
    broken=0.002,
    lost_commit=0.01,
    unheard_commit=0.02,
    death=0.002,
    unsent=0.2,
    unconfirmed=0.1,
    agent_life_s=HOUR_S,
    server_life_s=2 * HOUR_S,
)


def storm(seed: int) -> Scenario:
    """Some hours in which all that can go wrong does, and then some calm ones."""
    return Scenario(
        seed=seed,
        servers=2,
        agents=3,
        sites=2,
        checks=2,
        period_s=600,
        retries=1,
        recheck_s=None,
        zone="Europe/Paris",
        weather=STORM,
        keep="changes" if seed % 2 else "all",
        reloads=2,
        clock_jumps=2,
        rough_s=5 * HOUR_S,
        settle_s=HOUR_S,
        calm_s=2.5 * HOUR_S,
    )


def squall(seed: int) -> Scenario:
    """A storm that is soon over: long enough for what is plainly wrong to show."""
    return replace(
        storm(seed), rough_s=1.5 * HOUR_S, settle_s=0.6 * HOUR_S, calm_s=1.7 * HOUR_S
    )


def located(seed: int) -> Scenario:
    """Some hours of websites that are watched from several places, and then calm ones.

    Agents die, are cut off, and leave their places alone; servers die, too.
    """
    rng = random.Random(f"located {seed}")
    locations = rng.choice([2, 3, 3, 4])
    return Scenario(
        seed=seed,
        servers=rng.choice([1, 1, 2]),
        agents=locations + rng.choice([0, 1, 2]),
        sites=rng.choice([1, 2]),
        checks=1,
        period_s=rng.choice([180, 300, 600]),
        retries=rng.choice([0, 0, 1, 2]),
        recheck_s=rng.choice([None, 60]),
        zone="UTC",
        weather=replace(
            _weather(rng),
            agent_life_s=rng.choice([float("inf"), HOUR_S / 2, 2 * HOUR_S]),
            server_life_s=rng.choice([float("inf"), float("inf"), HOUR_S]),
        ),
        reloads=rng.choice([0, 0, 1]),
        locations=locations,
        quorum=rng.randint(2, locations),
        cut_offs=rng.choice([0, 1, 4]),
        away=rng.choice([0, 1, 2]),
        rough_s=1.5 * HOUR_S,
        settle_s=0.5 * HOUR_S,
        calm_s=1.5 * HOUR_S,
    )


def located_squall(seed: int) -> Scenario:
    """The same, soon over."""
    return replace(
        located(seed), rough_s=0.6 * HOUR_S, settle_s=0.3 * HOUR_S, calm_s=0.7 * HOUR_S
    )


def calm(scenario: Scenario) -> Scenario:
    """The same world, in which nothing goes wrong but websites."""
    return replace(
        scenario,
        weather=Weather(),
        reloads=0,
        clock_jumps=0,
        absences=0,
        cut_offs=0,
        away=0,
    )
