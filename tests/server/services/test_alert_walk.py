"""Whatever comes together, each problem that is told has one recovery, and nothing is lost.

Random walks through days of a small fleet: one website that others depend on, one that is
watched from three locations, agents that die, are cut off or in trouble, silences, quiet
hours, acknowledgements, reloads by which somebody comes or goes, and servers that are away.
What the rows say in the end is what people heard.
"""

import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from argos.core.incident import EventKind
from argos.core.matching import Matcher
from argos.core.severity import Severity
from argos.protocol import CUT_OFF, DOUBT
from argos.server.models import (
    Delivery,
    DeliveryState,
    Event,
    Incident,
    SilenceKind,
    Task,
)
from argos.server.queries.silences import NewSilence
from argos.server.services import agent_notice, held, lasting, newcomers, peace
from argos.server.services.acknowledgement import Word, acknowledge
from argos.server.services.reconcile import reconcile
from argos.server.services.unanswered import settle_unanswered
from argos.server.services.upkeep import Duty, Means, Upkeep
from tests.server.factories import make_config
from tests.server.services.agents_world import World

SEEDS = int(os.environ.get("ARGOS_TEST_WALKS", "1"))
STEPS = 100
LOOK_EACH = 10
"""So many steps lie between two looks at what was told."""
PLACES = {"anna": "oslo", "bela": "paris", "cleo": "tokyo"}
TEAM = "apprise:team"
MINUTE = timedelta(minutes=1)
CHECKS = [{"status-is": 200}, {"body-contains": "hello"}]
BEGINNINGS = {EventKind.OPENED, EventKind.FLAPPING}


@dataclass
class Walk:
    """A fleet, and one random thing after the other that befalls it."""

    world: World
    rng: random.Random
    apply: Any
    bad: set[str] = field(default_factory=set)
    """The hosts that are down."""
    dead: set[str] = field(default_factory=set)
    blind: set[str] = field(default_factory=set)
    """Agents that are cut off, and know it."""
    is_calm: bool = False

    def step(self) -> None:
        world, rng = self.world, self.rng
        self._befall()
        world.clock.move(seconds=rng.choice([5, 20, 45, 60, 90]))
        names = [name for name in PLACES if name not in self.dead]
        rng.shuffle(names)
        for agent in names:
            world.see(agent, location=PLACES[agent])
            self._work(agent)
        self._keep_house()

    def _befall(self) -> None:
        if self.is_calm or self.rng.random() > 0.35:
            return
        rng = self.rng
        kind = rng.choice(
            ["site"] * 6 + ["death", "blind", "silence", "away", "reload", "ack"]
        )
        if kind == "site":
            self.bad ^= {rng.choice(["p", "c", "q", "n"])}
        elif kind == "death":
            self.dead ^= {rng.choice(list(PLACES))}
        elif kind == "blind":
            self.blind ^= {rng.choice(list(PLACES))}
        elif kind == "away":
            self.world.clock.move(minutes=rng.choice([2, 10]))
        elif kind == "silence":
            self._silence()
        elif kind == "ack":
            self._acknowledge()
        else:
            self.reload(
                places=rng.sample(list(PLACES.values()), rng.choice([2, 3, 3])),
                retries=rng.choice([0, 1]),
                has_dependent=rng.random() < 0.7,
                has_team=rng.random() < 0.5,
                is_quiet=rng.random() < 0.2,
            )

    def _acknowledge(self) -> None:
        open_ = [row.id for row in self.world.all(Incident) if row.closed_at is None]
        if open_:
            acknowledge(
                self.world.database,
                self.world.clock,
                incident_id=self.rng.choice(open_),
                word=Word("eva"),
                lasting=self.rng.choice([None, 20 * MINUTE]),
            )

    def _silence(self) -> None:
        rng, now = self.rng, self.world.now
        wanted = rng.choice([
            Matcher(website=("p.example",)),
            Matcher(website=("q.example",)),
            Matcher(check=("body-contains",)),
            Matcher(tag=("parts",)),
        ])
        new = NewSilence(
            kind=rng.choice(list(SilenceKind)),
            matcher=wanted,
            starts_at=now,
            ends_at=now + rng.choice([3, 10, 30]) * MINUTE,
            comment="",
            created_by="eva",
        )
        peace.add_silence(self.world.database, new, now=now, is_broad_ok=True)

    def reload(
        self,
        *,
        places: list[str],
        retries: int,
        has_dependent: bool,
        has_team: bool = True,
        is_quiet: bool = False,
    ) -> None:
        paths = [{"path": "/", "checks": CHECKS}]
        more = {
            "ipv6": False,
            "frequency": "2m",
            "paths": paths,
            "retry_before_notification": retries,
        }
        websites = [
            {"domain": "https://p.example", **more},
            {"domain": "https://q.example", "locations": places, "quorum": 2, **more},
            {"domain": "https://n.example", "tags": ["parts"], **more},
        ]
        if has_dependent:
            child = {"depends_on": ["https://p.example"], "tags": ["parts"], **more}
            websites.append({"domain": "https://c.example", **child})
        heard_by = ["local", TEAM] if has_team else ["local"]
        hours = {"begin": "00:00", "end": "23:59"} if is_quiet else None
        self.world.config = self.apply(
            websites,
            general__alerts__critical=heard_by,
            general__alerts__unknown=heard_by,
            general__quiet_hours=hours,
        )

    def _work(self, agent: str) -> None:
        world, rng = self.world, self.rng
        tasks = world.lease(agent)
        if not self.is_calm and rng.random() < 0.03:
            return  # it forgets them
        items = [
            {
                "task_id": task.id,
                "lease_no": task.lease_no,
                "leased_at": task.leased_at.isoformat(),
                "elapsed_us": 1_000,
                **self._seen(agent, task),
            }
            for task in tasks
        ]
        world.clock.move(seconds=1)
        world.deliver(agent, items)

    def _seen(self, agent: str, task: Any) -> dict[str, Any]:
        host = task.url.removeprefix("https://")[0]
        is_bad = host in self.bad
        luck = 1.0 if self.is_calm else self.rng.random()
        if agent in self.blind:
            return {"status": "failure", "context": {DOUBT: CUT_OFF}}
        if luck < 0.02:
            return {"status": "error", "context": {"reason": "own trouble"}}
        if luck < 0.05:
            is_bad = not is_bad
        facts = {"error_type": "connect", "error_message": "x", "address": "192.0.2.1"}
        return {
            "status": "failure" if is_bad else "success",
            "context": facts if is_bad and host in "nc" else {},
        }

    def _keep_house(self) -> None:
        world = self.world
        means = Means(
            database=world.database,
            clock=world.clock,
            get_config=lambda: world.config,
            holder="server",
        )
        duties = [
            Duty("unanswered", timedelta(), settle_unanswered),
            Duty("held", timedelta(), held.let_go),
            Duty("held_notices", timedelta(), agent_notice.let_notices_go),
            Duty("lasting", timedelta(), lasting.tell_lasting),
            Duty("newcomers", timedelta(), newcomers.tell_newcomers),
        ]
        upkeep = Upkeep(means, duties)
        upkeep.enter()
        upkeep.do_due()
        with world.database.transaction() as session:
            session.execute(
                update(Delivery)
                .where(
                    Delivery.state == DeliveryState.WAITING,
                    Delivery.due_at <= world.now,
                )
                .values(state=DeliveryState.SENT, sent_at=world.now, batch_id="sent")
            )

    def calm_down(self, *, bad: set[str], steps: int = 45) -> None:
        """Everything lives and sees; these hosts are down. Long enough for all to settle."""
        self.is_calm = True
        self.bad, self.dead, self.blind = bad, set(), set()
        self.reload(places=list(PLACES.values()), retries=0, has_dependent=True)
        for _ in range(steps):
            self.step()


@dataclass(frozen=True)
class Story:
    """What one recipient heard of one incident, in order."""

    recipient: str
    task_id: int
    incident: Any
    kinds: list[str]
    held: int


def stories(database: Any) -> list[Story]:
    with database.reading() as session:
        incidents = {row.id: row for row in session.scalars(select(Incident))}
        rows = session.execute(
            select(Event, Delivery)
            .join(Delivery, Delivery.event_id == Event.id)
            .order_by(Event.task_id, Event.seq, Delivery.id)
        ).all()
    found: dict[Any, list[Any]] = defaultdict(list)
    for event, delivery in rows:
        found[event.incident_id, delivery.recipient].append((event, delivery))
    return [
        Story(
            recipient,
            each[0][0].task_id,
            incidents[id_],
            [e.kind for e, d in each if d.state is not DeliveryState.HELD],
            sum(d.held_until is not None for _, d in each),
        )
        for (id_, recipient), each in found.items()
    ]


def check_stories(database: Any) -> None:
    for story in stories(database):
        kinds = story.kinds
        if not kinds:
            continue
        assert kinds[0] is not EventKind.CLOSED, story
        assert kinds.count(EventKind.CLOSED) == (
            story.incident.closed_at is not None and not story.held
        ), story
        assert EventKind.CLOSED not in kinds[:-1], story
        assert sum(kind in BEGINNINGS for kind in kinds) <= 1, story


@pytest.fixture
def walk(  # the database of a walk is SQLite's: it is about rules, not about SQL
    sqlite_database, migrated_sqlite_url, tmp_path, clock, request
) -> Walk:
    def apply(websites: list[dict[str, Any]], **changes: Any) -> Any:
        loaded = make_config(
            tmp_path,
            url=migrated_sqlite_url,
            websites=websites,
            general__remind_every="30m",
            general__apprise={"team": ["json://127.0.0.1"]},
            **changes,
        )
        reconcile(sqlite_database, loaded, now=clock.utcnow(), allow_mass_removal=True)
        return loaded.config

    rng = random.Random(request.param)
    walk = Walk(World(sqlite_database, None, clock), rng, apply)  # type: ignore[arg-type]  # set at once
    walk.reload(places=list(PLACES.values()), retries=0, has_dependent=True)
    return walk


@pytest.mark.timeout(120)
@pytest.mark.parametrize("walk", range(SEEDS), indirect=True)
def test_i22_each_problem_that_is_told_has_one_recovery(walk):
    for place in range(STEPS):
        walk.step()
        if not place % LOOK_EACH:
            check_stories(walk.world.database)

    walk.calm_down(bad=set())

    check_stories(walk.world.database)
    world = walk.world
    assert [row.id for row in world.all(Incident) if row.closed_at is None] == []
    assert [row.id for row in world.all(Delivery) if row.held_until] == []
    left = {row.state for row in world.all(Delivery)}
    assert left <= {DeliveryState.SENT, DeliveryState.HELD}
    tasks = [row for row in world.all(Task) if row.archived_at is None]
    assert {row.severity for row in tasks} == {Severity.OK}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("walk", range(100, 100 + SEEDS), indirect=True)
def test_i31_all_that_is_down_in_the_end_is_told_once(walk):
    for _ in range(STEPS):
        walk.step()

    walk.calm_down(bad={"p", "c", "q"})

    check_stories(walk.world.database)
    open_ = [
        each for each in stories(walk.world.database) if not each.incident.closed_at
    ]
    with walk.world.database.reading() as session:
        urls = dict(session.execute(select(Task.id, Task.url)).all())
        checks = dict(session.execute(select(Task.id, Task.check)).all())
    heard = sorted(
        (each.recipient, urls[each.task_id], checks[each.task_id])
        for each in open_
        if each.kinds
    )
    assert len(heard) == len(set(heard)), heard
    for to in ("local", TEAM):
        theirs = [each for each in open_ if each.recipient.startswith(to)]
        heard_of = {one.incident.id: urls[one.task_id] for one in theirs if one.kinds}
        assert set(heard_of.values()) >= {"https://p.example/", "https://q.example/"}
        silent = [each for each in theirs if not each.kinds]
        assert all(each.incident.parent_id in heard_of for each in silent), silent
        named = {urls[each.task_id] for each in theirs}
        assert named == {f"https://{name}.example/" for name in "pcq"}

    # What depended on it speaks for itself when that is over.
    walk.calm_down(bad={"c", "q"}, steps=12)

    told = [
        each for each in stories(walk.world.database) if not each.incident.closed_at
    ]
    assert {urls[each.task_id] for each in told if each.kinds} == {
        "https://c.example/",
        "https://q.example/",
    }
