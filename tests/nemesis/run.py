"""One run of the nemesis: harm, heal, and look whether anything was lost or doubled."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from argos.server.database import Database
from tests.e2e.waiting import wait_until
from tests.nemesis.checking import (
    Journal,
    differences,
    is_quiet,
    list_events,
    list_parts,
    reduce_results,
    without_silent_parts,
)
from tests.nemesis.postgres import Postgres
from tests.nemesis.world import World

BEGIN_LIMIT_S = 60.0
QUIET_LIMIT_S = 240.0
TARGETS = {"/hook", "/message", "ada@example.org", "bob@example.org"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a run."""

    changes: int
    messages: int
    repeats: int
    crashes: int
    quiet_after_s: float
    faults: list[str]

    def __str__(self) -> str:
        return (
            f"{self.changes} changes told to {len(TARGETS)} targets in "
            f"{self.messages} messages, {self.repeats} repeats after {self.crashes} "
            f"crashes, quiet after {self.quiet_after_s:.0f} s, "
            f"faults: {len(self.faults)}"
        )


def run(  # noqa: PLR0913  # the parameters of an experiment
    folder: Path,
    *,
    seed: int,
    pages: int,
    changes: int,
    with_postgres: bool,
    limit_s: float,
    pause_s: float,
    say: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Harm until the website has changed so often, or the time is over.

    `pause_s` is between two deeds: less than a server takes to start, and nothing is
    left to be harmed.
    """
    postgres = Postgres() if with_postgres else None
    try:
        world = World(folder, seed=seed, pages=pages, postgres=postgres)
        try:
            wait_until(
                lambda: world.website.changes >= world.pages,
                within_s=BEGIN_LIMIT_S,
                what="a first probe of each page",
            )
            ends_at = time.monotonic() + limit_s
            while world.website.changes < changes and time.monotonic() < ends_at:
                say(f"{world.website.changes} changes: {world.harm()}")
                time.sleep(pause_s)
            return _heal(world)
        finally:
            world.close()
    finally:
        if postgres is not None:
            postgres.close()


def _heal(world: World) -> Verdict:
    """Let nothing more happen, wait until it is quiet, and look."""
    world.heal()
    healed_at = time.monotonic()
    with closing(Database(world.installation.database_url)) as database:
        while not is_quiet(database):
            if time.monotonic() > healed_at + QUIET_LIMIT_S:
                break
            time.sleep(0.5)
        quiet_after_s = time.monotonic() - healed_at
        return _judge(world, database, quiet_after_s)


def _judge(world: World, database: Database, quiet_after_s: float) -> Verdict:
    journal = Journal(world.journal)
    events, parts = list_events(database), list_parts(database)
    faults = [] if is_quiet(database) else ["it does not become quiet"]
    faults += [
        f"rule against events: {text}"
        for text in differences(reduce_results(database), events)
    ]
    for target in sorted(TARGETS | journal.targets):
        told = journal.told(target)
        wanted = without_silent_parts(events, parts, told)
        faults += [f"{target}: {text}" for text in differences(wanted, told)]
    crashes = world.crashes.total() + journal.cut_count
    repeats = journal.count_repeats()
    # A crash of all can hit one message to each target.
    if repeats > len(TARGETS) * crashes:
        faults.append(f"{repeats} repeats after {crashes} crashes")
    return Verdict(
        changes=sum(map(len, events.values())),
        messages=journal.count_messages(),
        repeats=repeats,
        crashes=crashes,
        quiet_after_s=quiet_after_s,
        faults=faults,
    )
