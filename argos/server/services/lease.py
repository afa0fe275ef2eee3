"""Hand out due task groups to agents, and take them back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argos.checks import get_registered_checks
from argos.clock import Clock
from argos.protocol import IPV6_CAPABILITY, OPTIONS_CAPABILITY, HeldLease
from argos.schemas import Config
from argos.server.database import Database
from argos.server.identity import Pool, located
from argos.server.queries import leases as queries
from argos.server.queries.leased import LeanTask, LeasedTask, LeaseTerms
from argos.server.services.backlog import Backlog


@dataclass(frozen=True, slots=True)
class LeaseAnswer:
    """What an agent gets; without tasks, when it is worth to ask again."""

    tasks: Sequence[LeasedTask] = ()
    lean_tasks: Sequence[LeanTask] = ()
    """Instead, if it wished so."""
    next_due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeaseWish:
    """What an agent asks for."""

    limit: int
    """Groups."""
    capabilities: Collection[str] | None = None
    """None for agents of 0.10.3, which do not announce any."""
    ahead: timedelta = timedelta()
    """Groups that fall due within this time are welcome, too."""
    location: str | None = None
    """Where the agent stands."""
    is_lean: bool = False
    """Whether it wants no more of a task than what a probe needs."""

    @property
    def lead(self) -> timedelta:
        """How long before the next group is due it is time to answer.

        Half of the time ahead: the agent has it in hand when it is due, and whatever
        is due in the second half comes along.
        """
        return self.ahead / 2


def lease(
    database: Database,
    *,
    agent: str,
    wish: LeaseWish,
    config: Config,
    clock: Clock,
    backlog: Backlog | None = None,
) -> LeaseAnswer:
    """Lease due groups that the agent can probe."""
    backlog = backlog or Backlog()
    now = clock.utcnow()
    pools = allowed_pools(wish.capabilities, wish.location)
    part = backlog.part(pools)
    since = backlog.low_water(pools, now=now)
    next_due_at = None
    if part is None or since is None or wish.limit == 0:
        with database.reading() as session:
            next_due_at = queries.get_next_due_at(session, pools=pools, since=since)
        since = backlog.note_first(pools, next_due_at, now=now)
        if wish.limit == 0 or next_due_at is None or next_due_at > now + wish.lead:
            # Most calls end here, without having written anything.
            return LeaseAnswer(next_due_at=next_due_at)
    min_lease = _min_lease(wish.capabilities, config)
    terms = LeaseTerms(wish.ahead, min_lease, wish.location, part, since, wish.is_lean)
    with database.each_alone() as session:
        # There may be others before us. A lease is from when it is given: what is found
        # under it must not seem older than what was taken over meanwhile.
        session.connection()
        leased = queries.lease_groups(
            session,
            agent=agent,
            pools=pools,
            limit=wish.limit,
            now=clock.utcnow(),
            terms=terms,
        )
    backlog.note(pools, is_full=len(leased.leases) >= wish.limit)
    if part is not None and not leased.rows:
        # All was leased meanwhile; when there is more is known only by a look.
        return lease(
            database,
            agent=agent,
            wish=wish,
            config=config,
            clock=clock,
            backlog=backlog,
        )
    if wish.is_lean:
        return LeaseAnswer((), leased.read_lean(), next_due_at)
    return LeaseAnswer(leased.read_tasks(), (), next_due_at)


def release(
    database: Database, *, agent: str, held: Sequence[HeldLease], now: datetime
) -> list[int]:
    """Make groups due again that an agent will not probe; return their ids."""
    with database.transaction() as session:
        return queries.release_groups(session, agent=agent, held=held, now=now)


def allowed_pools(
    capabilities: Collection[str] | None, location: str | None = None
) -> list[int]:
    """The queues that an agent may lease from.

    Agents of 0.10.3 probe IPv6 without saying so, and know no check of ours. One that
    lacks any of what is new gets nothing of it: a group's checks come together.
    """
    if capabilities is None:
        return [Pool.ANYONE, Pool.IPV6]
    pools: list[int] = [Pool.ANYONE]
    if IPV6_CAPABILITY in capabilities:
        pools.append(Pool.IPV6)
    if new_abilities() <= set(capabilities):
        new = [pool | Pool.NEW_CHECKS for pool in pools]
        pools += new
        if location is not None:
            pools += [located(pool, location) for pool in new]
    return pools


def new_abilities() -> frozenset[str]:
    """What agents of 0.10.3 cannot do: our own checks, and probe options."""
    checks = get_registered_checks().values()
    own = (check.name for check in checks if not check.is_legacy)
    return frozenset((OPTIONS_CAPABILITY, *own))


def _min_lease(capabilities: Collection[str] | None, config: Config) -> timedelta:
    # Agents of 0.10.3 have no total deadline, and report when a whole batch is over.
    if capabilities is None:
        return timedelta(seconds=config.recurring_tasks.max_lock_seconds)
    return timedelta()
