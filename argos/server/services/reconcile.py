"""Make the tasks in the database match the config: all of it, or nothing."""

import logging
from dataclasses import dataclass
from datetime import datetime

from argos.errors import MassRemovalRefused
from argos.schemas import Config
from argos.server.database import Database, Session
from argos.server.plan import (
    Wanted,
    active,
    changes,
    is_mass_removal,
    known_recipients,
    wanted_tasks,
)
from argos.server.queries import sync
from argos.server.settings import LoadedConfig

log = logging.getLogger(__name__)


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
        sync.lock_reconcile(session)
        cache = sync.get_config_cache(session)
        if all(cache.get(name) == value for name, value in entries.items()):
            # Its moment tells running servers to read the file anew: what is not about
            # tasks may have changed.
            sync.set_config_cache(session, entries, now=now)
            return None
        counts = _apply(
            session,
            wanted_tasks(loaded.config),
            now=now,
            allow_mass_removal=allow_mass_removal,
        )
        sync.set_config_cache(session, entries, now=now)
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
        "general_ipv4": str(general.ipv4),
        "general_ipv6": str(general.ipv6),
        "general_timeout": str(general.timeout.total_seconds()),
        "known_recipients": _recipients_text(loaded.config),
    }


def _recipients_text(config: Config) -> str:
    return " ".join(sorted(known_recipients(config)))


def _apply(
    session: Session, wanted: Wanted, *, now: datetime, allow_mass_removal: bool
) -> Counts:
    present = sync.list_present_tasks(session)
    plan = changes(present, wanted.tasks)
    before = active(present.values())
    if not allow_mass_removal and is_mass_removal(len(plan.archive), before):
        raise MassRemovalRefused(len(plan.archive), before)
    restored = [id_ for id_, _ in plan.restore]
    sync.lock_tasks(
        session, [*(id_ for id_, _ in plan.update), *restored, *plan.archive]
    )
    places = sync.Places(
        website_ids=sync.sync_websites(session, wanted.websites, now=now),
        group_ids=sync.add_groups(session, wanted.groups, now=now),
    )
    sync.add_tasks(session, plan.add, places=places)
    sync.update_tasks(session, [*plan.update, *plan.restore], places=places)
    sync.forget_leases(session, restored)
    sync.archive_tasks(session, plan.archive, now=now)
    sync.change_groups(session, wanted.groups, now=now)
    return Counts(
        deleted=len(plan.archive),
        added=len(plan.add) + len(plan.restore),
        updated=len(plan.update),
    )
