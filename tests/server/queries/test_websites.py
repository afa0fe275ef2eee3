import math
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from argos.core.severity import Severity
from argos.server.database import Database
from argos.server.models import Result, Task, Website
from argos.server.queries import overview, websites
from argos.server.queries.websites import WebsiteFilter, WebsitePlace, WebsiteSearch


def walk(session: Session, search: WebsiteSearch) -> Iterator[str]:
    """All hosts of a list, page by page."""
    after: WebsitePlace | None = search.after
    while True:
        page = websites.list_websites(
            session,
            WebsiteSearch(search.state, search.text, after=after, limit=search.limit),
        )
        assert len(page.websites) <= search.limit
        yield from (state.host for state in page.websites)
        if page.next_place is None:
            return
        after = page.next_place


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
@pytest.mark.parametrize("state", list(WebsiteFilter))
def test_pages_of_any_size_make_the_same_list(
    seeded: Database, state: WebsiteFilter, limit: int
):
    with seeded.reading() as session:
        whole = list(walk(session, WebsiteSearch(state, limit=100)))
        pieces = list(walk(session, WebsiteSearch(state, limit=limit)))

    assert pieces == whole
    assert len(set(whole)) == len(whole)


def test_two_websites_with_one_host_are_both_listed(seeded: Database, now: datetime):
    with seeded.transaction() as session:
        wiki = session.scalars(
            select(Website).where(Website.host == "wiki.example.org")
        ).one()
        wiki.host = "events.example.org"

    with seeded.reading() as session:
        found = list(walk(session, WebsiteSearch(WebsiteFilter.OK, limit=1)))

    assert found.count("events.example.org") == 2


def test_counts_are_those_of_counting_by_hand(seeded: Database):
    with seeded.reading() as session:
        counts = overview.count_fleet(session)
        tasks = session.scalars(select(Task)).all()

    by_website: dict[int | None, set[Severity]] = {}
    for task in tasks:
        by_website.setdefault(task.website_id, set()).add(task.severity)
    assert counts.checks == {
        severity: sum(task.severity is severity for task in tasks)
        for severity in Severity
    }
    assert counts.websites == {
        severity: sum(
            found == {severity} if severity is Severity.OK else severity in found
            for found in by_website.values()
        )
        for severity in Severity
    }
    assert counts.website_count == len(by_website)


def test_strips_hold_the_most_urgent_severity_of_each_stretch(
    seeded: Database, now: datetime
):
    since, width = now - timedelta(hours=1), timedelta(minutes=7)
    with seeded.reading() as session:
        ids = list(session.scalars(select(Website.id)))
        found = websites.list_website_strips(
            session, website_ids=ids, since=since, width=width
        )
        rows = session.execute(
            select(Task.website_id, Result.submitted_at, Result.severity).join(
                Result, Result.task_id == Task.id
            )
        ).all()

    expected: dict[int, dict[int, Severity]] = {}
    for website_id, submitted_at, severity in rows:
        if submitted_at >= since:
            place = (submitted_at - since) // width
            strip = expected.setdefault(website_id or 0, {})
            strip[place] = max(
                strip.get(place, Severity.OK), severity, key=lambda s: s.urgency
            )
    assert found == expected


def test_the_95th_percentile_is_the_value_that_95_of_100_do_not_exceed(
    seeded: Database, now: datetime
):
    since = now - timedelta(minutes=40)
    with seeded.reading() as session:
        ids = list(session.scalars(select(Website.id)))
        found = websites.list_response_times(session, website_ids=ids, since=since)
        for website_id in ids:
            first = session.scalars(
                select(Task.id).where(Task.website_id == website_id).order_by(Task.id)
            ).first()
            times = sorted(
                total_us or 0
                for total_us in session.scalars(
                    select(Result.total_us).where(
                        Result.task_id == first,
                        Result.submitted_at >= since,
                        Result.total_us.is_not(None),
                    )
                )
            )
            if times:
                assert found[website_id] == times[math.ceil(0.95 * len(times)) - 1]
            else:
                assert website_id not in found


def test_the_certificate_that_ends_first_counts(seeded: Database):
    with seeded.reading() as session:
        ids = {
            host: id_ for id_, host in session.execute(select(Website.id, Website.host))
        }
        days = websites.list_certificate_days(session, website_ids=list(ids.values()))

    assert days[ids["a.example.net"]] == 4
    assert days[ids["wiki.example.org"]] > 4
    assert ids["cloud.example.org"] not in days
    assert ids["new.example.com"] not in days


def test_what_is_not_ok_is_found_by_its_own_small_index(
    migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Without it each look at the dashboard would read all tasks of the fleet."""
    database = Database(migrated_sqlite_url)
    statements: list[tuple[str, tuple[object, ...]]] = []
    with database.reading() as session:
        event.listen(
            session.connection(),
            "before_cursor_execute",
            lambda _c, _cursor, statement, values, *_: statements.append((
                statement,
                values,
            )),
        )
        websites.list_websites(session, WebsiteSearch(WebsiteFilter.NOT_OK))
        plans = [
            session
            .connection()
            .exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            .all()
            for statement, values in list(statements)
        ]
    database.close()

    assert any("ix_tasks_not_ok" in str(plan) for plan in plans)
