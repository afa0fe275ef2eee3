"""What the database itself notes of a queue: triggers write down each lease and its end.

The same on SQLite and on PostgreSQL; no statement of the product can hide from it.
"""

from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import text

from argos.server.columns import UtcDateTime
from argos.server.database import Database, Session
from argos.server.services.dispatch import CLAIM_INTERVAL

_TABLE = """
CREATE TABLE ledger (
  id {serial}, kind text NOT NULL, group_id bigint NOT NULL, lease_no integer NOT NULL,
  leased_by text, leased_at {moment}, until {moment})
"""
_WRITE = """
INSERT INTO ledger (kind, group_id, lease_no, leased_by, leased_at, until)
VALUES ({kind}, new.id, new.lease_no, new.leased_by, new.leased_at, new.due_at)
"""
_SQLITE = (
    "CREATE TRIGGER ledger_new AFTER INSERT ON schedule"
    f" BEGIN {_WRITE.format(kind=repr('new'))}; END",
    "CREATE TRIGGER ledger_lease AFTER UPDATE ON schedule"
    " WHEN new.lease_no = old.lease_no + 1"
    f" BEGIN {_WRITE.format(kind=repr('lease'))}; END",
    "CREATE TRIGGER ledger_end AFTER UPDATE ON schedule"
    " WHEN old.leased_at IS NOT NULL AND new.leased_at IS NULL"
    f" BEGIN {_WRITE.format(kind=repr('end'))}; END",
)
_POSTGRESQL = (
    "CREATE FUNCTION note_schedule() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN {_WRITE.format(kind='TG_ARGV[0]')}; RETURN NULL; END $$",
    "CREATE TRIGGER ledger_new AFTER INSERT ON schedule FOR EACH ROW"
    " EXECUTE FUNCTION note_schedule('new')",
    "CREATE TRIGGER ledger_lease AFTER UPDATE ON schedule FOR EACH ROW"
    " WHEN (new.lease_no = old.lease_no + 1)"
    " EXECUTE FUNCTION note_schedule('lease')",
    "CREATE TRIGGER ledger_end AFTER UPDATE ON schedule FOR EACH ROW"
    " WHEN (old.leased_at IS NOT NULL AND new.leased_at IS NULL)"
    " EXECUTE FUNCTION note_schedule('end')",
)


_CLAIM = """
INSERT INTO ledger (kind, group_id, lease_no, leased_by, until)
VALUES ({kind}, new.id, new.attempts, new.claimed_by, new.due_at)
"""
_IS_CLAIM = "new.claimed_by IS NOT NULL AND new.attempts <> old.attempts"
_IS_DONE = "old.claimed_by IS NOT NULL AND new.claimed_by IS NULL"
_CLAIMS_SQLITE = tuple(
    f"CREATE TRIGGER ledger_{kind} AFTER UPDATE ON deliveries WHEN {condition}"
    f" BEGIN {_CLAIM.format(kind=repr(kind))}; END"
    for kind, condition in (("claim", _IS_CLAIM), ("done", _IS_DONE))
)
_CLAIMS_POSTGRESQL = (
    "CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN {_CLAIM.format(kind='TG_ARGV[0]')}; RETURN NULL; END $$",
    *(
        f"CREATE TRIGGER ledger_{kind} AFTER UPDATE ON deliveries FOR EACH ROW"
        f" WHEN ({condition}) EXECUTE FUNCTION note_claim('{kind}')"
        for kind, condition in (("claim", _IS_CLAIM), ("done", _IS_DONE))
    ),
)


class Entry(NamedTuple):
    """A group came to be, was leased, or was given back or reported.

    Or a delivery was claimed, and its attempt came to its end: then the group is the
    delivery, and the number of the lease that of the attempt.
    """

    kind: str
    group_id: int
    lease_no: int
    leased_by: str | None
    leased_at: datetime | None
    until: datetime


def open_ledger(database: Database) -> None:
    """Let the database take notes from here on."""
    is_sqlite = database.is_sqlite
    table = _TABLE.format(
        serial="integer PRIMARY KEY"
        if is_sqlite
        else "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        moment="integer" if is_sqlite else "timestamptz",
    )
    with database.connection() as connection:
        leases = _SQLITE if is_sqlite else _POSTGRESQL
        claims = _CLAIMS_SQLITE if is_sqlite else _CLAIMS_POSTGRESQL
        for statement in (table, *leases, *claims):
            connection.exec_driver_sql(statement)


def read_ledger(session: Session) -> list[Entry]:
    """All entries; those of one group in the order in which they came to be."""
    statement = text(
        "SELECT kind, group_id, lease_no, leased_by, leased_at, until"
        " FROM ledger ORDER BY id"
    ).columns(leased_at=UtcDateTime, until=UtcDateTime)
    return [Entry(*row) for row in session.execute(statement)]


def lives(entries: list[Entry]) -> list[list[Entry]]:
    """The entries of each group, from its beginning; an id may be used again later."""
    found: list[list[Entry]] = []
    present: dict[int, list[Entry]] = {}
    for entry in entries:
        if entry.kind in {"claim", "done"}:
            continue
        if entry.kind == "new":
            present[entry.group_id] = []
            found.append(present[entry.group_id])
        present[entry.group_id].append(entry)
    return found


def double_leases(entries: list[Entry]) -> list[str]:
    """Leases that began while another one lasted, or without a number of their own."""
    faults = []
    for life in lives(entries):
        numbers = [entry.lease_no for entry in life if entry.kind == "lease"]
        if numbers != sorted(set(numbers)):
            faults.append(f"I-02: group {life[0].group_id} has the leases {numbers}")
        for earlier, later in pairwise(life):
            if earlier.kind != "lease" or later.kind != "lease":
                continue
            assert later.leased_at is not None
            if later.leased_at < earlier.until:
                faults.append(f"I-02: {later} although {earlier}")
    return faults


def holders(entries: list[Entry]) -> dict[tuple[int, int], set[str | None]]:
    """Who had which lease of which group; several, where an id was used again."""
    found: dict[tuple[int, int], set[str | None]] = defaultdict(set)
    for entry in entries:
        if entry.kind == "lease":
            found[entry.group_id, entry.lease_no].add(entry.leased_by)
    return found


def double_claims(entries: list[Entry]) -> list[str]:
    """Claims of a delivery that began while another one lasted."""
    claims: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.kind in {"claim", "done"}:
            claims[entry.group_id].append(entry)
    return [
        f"I-29: delivery {id_}: {later} although {earlier}"
        for id_, each in claims.items()
        for earlier, later in pairwise(each)
        if earlier.kind == later.kind == "claim"
        and later.until - CLAIM_INTERVAL < earlier.until
    ]
