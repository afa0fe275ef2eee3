"""Make the tasks in the database match the config: all of it, or nothing."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from argos import VERSION
from argos.errors import MassRemovalRefused
from argos.schemas import Config
from argos.schemas.options import digest_options
from argos.server.database import Database, Session
from argos.server.plan import (
    MASS_REMOVAL_COUNT,
    Expansion,
    is_mass_removal,
    known_recipients,
)
from argos.server.queries import arrival, remembered, staging, sync
from argos.server.services.leaving import tell_leaving
from argos.server.settings import LoadedConfig

log = logging.getLogger(__name__)

LAST_LEASE_NO = "last_lease_no"
"""The entry of the config's cache that says it."""
MUCH_ADDED = 10
"""Of so many tasks one is new: what PostgreSQL knows of them is not true any more."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a reconcile changed, in tasks."""

    deleted: int
    """Archived: their history stays, and comes back with them."""
    added: int
    updated: int


def reconcile(
    database: Database,
    loaded: LoadedConfig,
    *,
    now: datetime,
    allow_mass_removal: bool = False,
) -> Counts | None:
    """Apply the config in one transaction; None when it has not changed.

    What tells an unchanged config is written in that same transaction: a crash at any
    point leaves the former config in force, and the next call applies this one.
    Raises MassRemovalRefused.
    """
    entries = cache_entries(loaded)
    with database.transaction() as session:
        if _is_applied(session, entries, now=now):
            return None
    expansion = Expansion(loaded.config)
    with database.bulk_transaction(
        partial(staging.stage, expansion=expansion)
    ) as session:
        sync.lock_reconcile(session)
        # Somebody may have applied it while we prepared.
        if _is_applied(session, entries, now=now):
            return None
        counts = _apply(
            session, loaded.config, now=now, allow_mass_removal=allow_mass_removal
        )
        sync.set_config_cache(session, entries, now=now)
        remembered.remember(session, now=now)
    log.info(
        "Applied the config: %d task(s) archived, %d added, %d updated",
        counts.deleted, counts.added, counts.updated,
    )  # fmt: skip
    return counts


def cache_entries(loaded: LoadedConfig) -> dict[str, str]:
    """What of the config decides about tasks, as `config_cache` holds it."""
    general = loaded.config.general
    minutes = general.frequency.total_seconds() / 60
    recheck = general.recheck_delay
    return {
        "websites_hash": loaded.digest,
        "general_frequency": str(minutes),
        "general_recheck_delay": str(recheck and recheck.total_seconds() / 60),
        "general_retry_before_notification": str(general.retry_before_notification),
        "general_recoveries_before_notification": str(
            general.recoveries_before_notification
        ),
        "general_confirm": str(general.confirm),
        "general_locations": json.dumps(general.locations),
        "general_quorum": str(general.quorum),
        "general_ipv4": str(general.ipv4),
        "general_ipv6": str(general.ipv6),
        "general_timeout": str(general.timeout.total_seconds()),
        "general_options": digest_options([general.options]),
        "known_recipients": _recipients_text(loaded.config),
        # Another version may make other tasks, or other task groups, of the same config.
        "argos_version": VERSION,
    }


def _recipients_text(config: Config) -> str:
    return " ".join(sorted(known_recipients(config)))


def _is_applied(session: Session, entries: dict[str, str], *, now: datetime) -> bool:
    """Whether the config is in force already; costs nothing of the size of the fleet."""
    cache = sync.get_config_cache(session)
    if any(cache.get(name) != value for name, value in entries.items()):
        return False
    # Its moment tells running servers to read the file anew: what is not about
    # tasks may have changed.
    sync.set_config_cache(session, entries, now=now)
    return True


def _apply(
    session: Session, config: Config, *, now: datetime, allow_mass_removal: bool
) -> Counts:
    """Turn the tasks that are there into the staged ones."""
    found = sync.find_changes(session)
    if not allow_mass_removal and found.archived > MASS_REMOVAL_COUNT:
        present = sync.count_active_tasks(session)
        if is_mass_removal(found.archived, present):
            raise MassRemovalRefused(found.archived, present)
    sync.lock_changing_tasks(session)
    if told := sync.list_told_leaving(session):
        tell_leaving(session, told, config=config, now=now)
    sync.change_websites(session, now=now)
    sync.add_groups(session, now=now)
    added = sync.add_tasks(session)
    arrival.continue_leases(
        session, last_lease_no=_remember_last_lease_no(session, now=now)
    )
    sync.update_tasks(session)
    sync.archive_tasks(session, now=now)
    sync.change_groups(session, now=now)
    if added * MUCH_ADDED > sync.count_active_tasks(session):
        sync.gather_statistics(session)
    return Counts(
        deleted=found.archived, added=added + found.restored, updated=found.updated
    )


def _remember_last_lease_no(session: Session, *, now: datetime) -> int:
    """The highest number that a lease ever had, before task groups are removed."""
    known = int(sync.get_config_cache(session).get(LAST_LEASE_NO, 0))
    last = max(known, arrival.get_last_lease_no(session))
    if last != known:
        sync.set_config_cache(session, {LAST_LEASE_NO: str(last)}, now=now)
    return last
