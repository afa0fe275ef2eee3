"""How fast and how rightly problems are told: ours and the ancestor's on one tape.

python -m bench.detection [--sites N] [--days N]
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.detection.tape import Plan, Tape
from bench.detection.watch import Alert, Ancestor, Watcher

PLAN = Plan()


@dataclass(frozen=True, slots=True)
class Score:
    """What came of a month."""

    p50: float
    p95: float
    found: int
    missed: int
    """Outages longer than one period of which nobody was told while they lasted."""
    false_alarms: int


def score(tape: Tape, alerts: Sequence[Alert]) -> Score:
    """Compare what was told with what was so."""
    by_site: dict[int, list[Alert]] = {}
    for alert in alerts:
        by_site.setdefault(alert.site, []).append(alert)
    false = sum(
        not tape.is_down(alert.site, alert.at)
        and not tape.is_down(alert.site, alert.failing_since)
        for alert in alerts
    )
    delays, missed = [], 0
    for site, outages in enumerate(tape.outages):
        told = by_site.get(site, [])
        for outage in outages:
            is_long = outage.end - outage.start > tape.plan.period
            # An incident that was open when it began stands for it, too.
            moments = [
                max(alert.at, outage.start) for alert in told if outage.has(alert.at)
            ]
            if moments:
                delays.append(min(moments) - outage.start)
            elif is_long:
                missed += 1
    delays.sort()
    return Score(
        p50=delays[len(delays) // 2],
        p95=delays[int(len(delays) * 0.95)],
        found=len(delays),
        missed=missed,
        false_alarms=false,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=PLAN.sites)
    parser.add_argument("--days", type=int, default=PLAN.days)
    given = parser.parse_args()
    outages = max(
        1, PLAN.outages * given.sites * given.days // (PLAN.sites * PLAN.days)
    )
    tape = Tape(Plan(sites=given.sites, days=given.days, outages=outages))
    long = sum(
        span.end - span.start > tape.plan.period
        for spans in tape.outages
        for span in spans
    )
    print(f"{outages} outages, {long} of them longer than one period")  # a program
    watchers: list[tuple[str, Watcher | Ancestor]] = [
        ("0.10.3, no retry", Ancestor(tape, 0)),
        ("0.10.3, one retry", Ancestor(tape, 1)),
        ("confirm off, no retry", Watcher(tape, 0, confirm=False)),
        ("confirm off, one retry", Watcher(tape, 1, confirm=False)),
        ("confirm on, no retry", Watcher(tape, 0, confirm=True)),
        ("confirm on, one retry", Watcher(tape, 1, confirm=True)),
    ]
    print("| | told | p50 s | p95 s | missed | false alarms | suspect agents | s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, watcher in watchers:
        begin = time.process_time()
        watcher.run()
        found = score(tape, watcher.alerts)
        print(
            f"| {name} | {found.found} | {found.p50:.0f} | {found.p95:.0f}"
            f" | {found.missed} | {found.false_alarms} | {watcher.suspected}"
            f" | {time.process_time() - begin:.0f} |"
        )


if __name__ == "__main__":
    main()
