import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from argos.core.rollup import hour_of
from argos.core.severity import Severity
from argos.server.database import Database
from argos.server.models import Result, Task, Website
from argos.server.queries import overview, websites
from argos.server.queries.rollups import HourSpan
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


def test_hours_hold_all_that_was_measured_of_a_website(seeded: Database, now: datetime):
    span = HourSpan.until(now, timedelta(hours=3))
    with seeded.reading() as session:
        ids = list(session.scalars(select(Website.id)))
        found = websites.list_website_counts(session, website_ids=ids, span=span)
        rows = session.execute(
            select(Task.website_id, Result.submitted_at, Result.severity).join(
                Result, Result.task_id == Task.id
            )
        ).all()

    expected: dict[int, dict[int, Counter[Severity]]] = {}
    for website_id, submitted_at, severity in rows:
        hours = expected.setdefault(website_id or 0, {})
        hours.setdefault(hour_of(submitted_at), Counter())[severity] += 1
    assert {
        website_id: {
            hour: {s: n for s in Severity if (n := getattr(counts, s.value))}
            for hour, counts in hours.items()
        }
        for website_id, hours in found.items()
        if hours
    } == expected


def test_the_95th_percentile_is_near_the_value_that_95_of_100_do_not_exceed(
    seeded: Database, now: datetime
):
    with seeded.reading() as session:
        ids = list(session.scalars(select(Website.id)))
        found = websites.list_response_times(
            session, website_ids=ids, span=HourSpan.until(now, timedelta(hours=24))
        )
        for website_id in ids:
            times = sorted(
                total_us or 0
                for total_us in session.scalars(
                    select(Result.total_us)
                    .join(Task, Task.id == Result.task_id)
                    .where(
                        Task.website_id == website_id,
                        Result.first_byte_us.is_not(None),
                    )
                )
            )
            if times:
                exact = times[math.ceil(0.95 * len(times)) - 1]
                assert found[website_id] == pytest.approx(exact, rel=0.1)
            else:
                assert website_id not in found
