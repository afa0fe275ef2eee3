"""The primary is killed and comes back as the standby, or hands over in peace."""

import time
from dataclasses import dataclass
from itertools import pairwise

from bench.ha.cluster import DATABASES, Cluster
from bench.ha.fleet import AGENTS
from bench.ha.front import Ledger, Taken
from tests.e2e.waiting import wait_until

GIVE_UP_S = 90.0


@dataclass(frozen=True, slots=True)
class Outage:
    """How long each step took; seconds since it began, but for the last."""

    what: str
    """Which node, and what befell it."""
    promoted_s: float
    resumed_s: float
    """When the longest silence was over: results are taken in again."""
    all_s: float
    """When each of the agents had delivered some."""
    rejoined_s: float
    """From its start, or since all agents delivered, until it stands by synchronously."""

    @property
    def row(self) -> str:
        """For a table."""
        return (
            f"| {self.what} | {self.promoted_s:.1f} s | {self.resumed_s:.1f} s | {self.all_s:.1f} s"
            f" | {self.rejoined_s:.1f} s |"
        )

    def __str__(self) -> str:
        return (
            f"{self.what}, a new primary after {self.promoted_s:.1f} s, "
            f"results taken in after {self.resumed_s:.1f} s, from all agents after "
            f"{self.all_s:.1f} s; it stood by again {self.rejoined_s:.1f} s "
            "later"
        )


def fail_over(cluster: Cluster, ledger: Ledger) -> Outage:
    """Kill the primary, wait until all agents deliver again, let it come back."""
    primary = _primary(cluster)
    begun_at = time.monotonic()
    cluster.kill(primary)
    promoted_at = _wait_for_promotion(cluster, primary)
    all_at = _wait_for_agents(ledger, promoted_at)
    cluster.start_patroni(primary)
    return Outage(
        what=f"db{primary} killed",
        promoted_s=promoted_at - begun_at,
        resumed_s=_end_of_silence(ledger, begun_at) - begun_at,
        all_s=all_at - begun_at,
        rejoined_s=cluster.wait_for_standby(),
    )


def switch_over(cluster: Cluster, ledger: Ledger) -> Outage:
    """Let the primary hand over, as before its machine is to be restarted."""
    primary = _primary(cluster)
    begun_at = time.monotonic()
    cluster.switch_over(primary)
    promoted_at = _wait_for_promotion(cluster, primary)
    all_at = _wait_for_agents(ledger, promoted_at)
    return Outage(
        what=f"db{primary} hands over",
        promoted_s=promoted_at - begun_at,
        resumed_s=_end_of_silence(ledger, begun_at) - begun_at,
        all_s=all_at - begun_at,
        rejoined_s=cluster.wait_for_standby(),
    )


def _primary(cluster: Cluster) -> int:
    primary = cluster.find_primary()
    assert primary is not None, "there is no primary"
    return primary


def _wait_for_promotion(cluster: Cluster, former: int) -> float:
    """When the other node takes writes."""
    other = next(node for node in DATABASES if node != former)
    wait_until(
        lambda: cluster.is_primary(other), within_s=GIVE_UP_S, what="a new primary"
    )
    return time.monotonic()


def _wait_for_agents(ledger: Ledger, moment: float) -> float:
    """When each agent has delivered something after a moment."""
    wait_until(
        lambda: len(_agents_since(ledger, moment)) >= AGENTS,
        within_s=GIVE_UP_S,
        what="reports of all agents",
    )
    return max(_agents_since(ledger, moment).values())


def _end_of_silence(ledger: Ledger, moment: float) -> float:
    """When the longest time without a report since a moment was over."""
    times = [moment, *(taken.at for taken in _since(ledger, moment))]
    return max((after - before, after) for before, after in pairwise(times))[1]


def _since(ledger: Ledger, moment: float) -> list[Taken]:
    with ledger.lock:
        return [taken for taken in ledger.taken if taken.at > moment]


def _agents_since(ledger: Ledger, moment: float) -> dict[str, float]:
    """When each agent first delivered something after a moment."""
    first: dict[str, float] = {}
    for taken in _since(ledger, moment):
        first.setdefault(taken.agent, taken.at)
    return first
