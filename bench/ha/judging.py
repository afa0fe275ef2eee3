"""Whether anything was lost or doubled."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import text

from argos.server.database import Database
from bench.data.reckoning import recount
from bench.ha.front import Ledger
from tests.nemesis.checking import differences, list_events, reduce_results

_CHUNK = 5_000
_OPENING = {"opened", "flapping"}
_CLOSING = {"closed"}


def lost_results(database: Database, ledger: Ledger) -> list[str]:
    """Results that were answered 201, and are not there, or are another task's."""
    wanted = dict(ledger.accepted)
    numbers = sorted(wanted)
    stored: dict[int, int] = {}
    with database.reading() as session:
        for start in range(0, len(numbers), _CHUNK):
            rows = session.execute(
                text("SELECT id, task_id FROM results WHERE id = ANY(:ids)"),
                {"ids": numbers[start : start + _CHUNK]},
            )
            stored.update((row[0], row[1]) for row in rows)
    return [
        f"result {number} of task {task} was answered 201, "
        f"and is {stored.get(number, 'nowhere')}"
        for number, task in wanted.items()
        if stored.get(number) != task
    ]


def doubled_results(database: Database) -> list[str]:
    """Measurements that are stored more than once."""
    with database.reading() as session:
        rows = session.execute(
            text(
                "SELECT task_id, submitted_at, count(*) FROM results"
                " GROUP BY 1, 2 HAVING count(*) > 1"
            )
        )
        return [f"task {task} has {count} results of {at}" for task, at, count in rows]


def wrong_events(database: Database) -> list[str]:
    """Tasks whose events are not numbered 1, 2, …, or do not open and close in turn."""
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)
    with database.reading() as session:
        rows = session.execute(
            text("SELECT task_id, seq, kind FROM events ORDER BY task_id, seq, id")
        )
        for task, seq, kind in rows:
            found[task].append((seq, kind))
    return [
        f"task {task} has the events {events}"
        for task, events in found.items()
        if [seq for seq, _ in events] != [*range(1, len(events) + 1)]
        or not _alternate([kind for _, kind in events])
    ]


def _alternate(kinds: Sequence[str]) -> bool:
    """Whether what opens and what closes takes turns; it begins with an opening."""
    ends = [kind in _CLOSING for kind in kinds if kind in _OPENING | _CLOSING]
    return ends == [place % 2 == 1 for place in range(len(ends))]


def wrong_story(database: Database) -> list[str]:
    """Where the events are not what the rule makes of the stored results."""
    return differences(reduce_results(database), list_events(database))


def wrong_rollups(database: Database) -> list[str]:
    """Where rollups and results do not agree."""
    said = recount(database.url.render_as_string(hide_password=False))
    return [] if said.startswith("equal") else [f"rollups and results: {said}"]


def count_rows(database: Database, table: str) -> int:
    """How many rows a table has."""
    with database.reading() as session:
        return int(session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)
