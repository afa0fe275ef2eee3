"""Which revision the schema has, and whether it fits.

Apart from the runner, so that a server which only looks need not load Alembic: 10 MB.
"""

from sqlalchemy import Connection, inspect, text

from argos.errors import WrongRevision
from argos.server.database import Database

LEGACY_HEAD = "f0b3ce75afa4"
"""The newest schema of 0.10.3."""
REVISIONS = (
    LEGACY_HEAD,
    "20261123_foundation",
    "20261125_delivery",
    "20261125_rollups",
    "20261125_probe_options",
    "20261125_second_opinion",
    "20261125_slim_results",
    "20261125_gathered_incidents",
    "20261125_agent_load",
    "20261125_silences",
    "20261126_told_times",
    "20261126_locations",
    "20261126_agent_clock",
    "20261126_large_fleets",
    "20261126_kept_results",
)
"""All revisions, oldest first; a test compares them with Alembic's chain."""


def head_revision() -> str:
    """The revision that this version of Argos needs."""
    return REVISIONS[-1]


def get_revision(connection: Connection) -> str | None:
    """The schema's revision; None for an empty or unstamped database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(
        text("SELECT version_num FROM alembic_version")
    )
    return revision


def current_revision(database: Database) -> str | None:
    """The schema's revision, over a connection of its own."""
    with database.engine.connect() as connection:
        return get_revision(connection)


def check_revision(database: Database) -> None:
    """Raise WrongRevision, saying how to mend it, unless the schema fits.

    Raises DatabaseUnreachable when it cannot be told.
    """
    database.check_reachable()
    present = current_revision(database)
    if present == head_revision():
        return
    if present is not None and present not in REVISIONS:
        raise WrongRevision(unknown_text(present))
    state = "has no tables of Argos yet" if present is None else f"is at {present}"
    raise WrongRevision(
        f"The database {database} {state}, this version needs {head_revision()}: "
        "run `argos server migrate` (or start with --migrate)."
    )


def unknown_text(revision: str) -> str:
    """What to do about a schema that this version does not know."""
    return (
        f"The schema's revision {revision} is not one that this version knows: it is "
        "either newer, then use that newer version of Argos, or older than 0.10.3, "
        "then bring it to 0.10.3 first."
    )
