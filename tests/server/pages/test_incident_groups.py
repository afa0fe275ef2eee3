"""The list of incidents shows those with one cause under the one that speaks for them."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from argos.core.cause import Cause
from argos.core.severity import Severity
from argos.server.models import Event, Incident, Task
from argos.server.queries.incident_groups import (
    CROWD,
    SHOWN_CHILDREN,
    list_gathered,
    list_leaders,
)
from argos.server.queries.incident_list import IncidentSearch
from argos.server.routes.pages.incidents import CHILDREN_SIZE
from tests.server.factories import add_group, task_ids

MINUTE = timedelta(minutes=1)
ADDRESS = "192.0.2.1 443 connect"


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """What is told apart by SQL is told apart by each kind of database."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture
def add(seeded, now):
    """Adds an incident, as the only ones there are; returns its id."""
    with seeded.transaction() as session:
        session.execute(delete(Event))
        session.execute(delete(Incident))
    tasks: list[int] = []

    def add(ago: float, *, parent=None, is_open=True, **columns) -> int:
        with seeded.transaction() as session:
            # Beyond those of the demonstration, which brings its own numbers.
            id_ = 10_000 + len(tasks)
            group = add_group(
                session, f"site{id_}", due_at=now, id=id_, tasks={"id": id_}
            )
            tasks.extend(task_ids(session, group.id))
            cause = None if parent is None else Cause.ADDRESS
            incident = Incident(**{
                "task_id": tasks[-1],
                "opened_at": now - ago * MINUTE,
                "closed_at": None if is_open else now - ago * MINUTE / 2,
                "severity": Severity.CRITICAL,
                "parent_id": parent,
                "cause": cause,
                "address": ADDRESS,
                **columns,
            })
            session.add(incident)
            session.flush()
            return incident.id

    return add


def listed(page: str) -> list[int]:
    """The incidents that have rows of their own."""
    heads = re.findall(r'<th scope="row">\s*<a href="/incident/(\d+)"', page)
    return [int(id_) for id_ in heads]


def test_children_stand_under_the_one_that_speaks_for_them(admin, add):
    alone = add(50)
    parent = add(40)
    children = [add(40 - place, parent=parent) for place in range(3)]

    page = admin.get("/incidents").text

    assert listed(page) == [parent, alone]
    assert (
        "speaks for 3 more incidents, on 4 websites: same address 192.0.2.1 (connect)"
        in page
    )
    for child in children:
        assert page.count(f'/incident/{child}"') == 1


def test_the_page_of_the_parent_has_those_that_are_not_listed(admin, add):
    parent = add(40)
    children = [add(30, parent=parent) for _ in range(SHOWN_CHILDREN + 2)]

    page = admin.get("/incidents").text

    assert f'<a href="/incident/{parent}#children">All 12</a>' in page
    assert f'/incident/{children[SHOWN_CHILDREN - 1]}"' in page
    assert f'/incident/{children[SHOWN_CHILDREN]}"' not in page
    assert f'/incident/{children[-1]}"' in admin.get(f"/incident/{parent}").text


def test_those_that_one_speaks_for_are_listed_page_by_page(admin, seeded, add, now):
    parent = add(40)
    newest = add(30, parent=parent)
    add_many(seeded, parent, CHILDREN_SIZE + 1, closed_at=now - MINUTE)

    page = admin.get(f"/incident/{parent}").text
    (link,) = re.findall(r'href="([^"]+)" rel="next"', page)
    rest = admin.get(link).text

    pages = [set(re.findall(r'href="/incident/(\d+)"', each)) for each in (page, rest)]
    for each in (page, rest):
        assert f"It speaks for {CHILDREN_SIZE + 2} incidents: same address" in each
    assert [len(each) for each in pages] == [CHILDREN_SIZE, 2]
    assert not pages[0] & pages[1]
    assert str(newest) in pages[0]
    assert 'rel="next"' not in rest
    assert f'href="/incident/{parent}#children" rel="first"' in rest


def test_what_a_group_shows_is_open_while_any_of_it_is(admin, add):
    parent = add(60, is_open=False, severity=Severity.WARNING)
    add(50, parent=parent)
    over = add(40, is_open=False)
    add(30, parent=over, is_open=False)

    assert listed(admin.get("/incidents?s=open").text) == [parent]
    assert listed(admin.get("/incidents?s=closed").text) == [over]
    assert listed(admin.get("/incidents").text) == [over, parent]
    row = admin.get("/incidents?s=open").text.partition("<tbody>")[2]
    assert "<b>open</b>" in row
    assert "Critical</span>" in row


def test_a_group_that_is_over_lasted_until_the_last_of_it_ended(admin, add, now):
    parent = add(60, is_open=False)
    add(60, parent=parent, is_open=False, closed_at=now - 6 * MINUTE)

    assert "54 min" in admin.get("/incidents").text


def test_one_whose_parent_is_gone_stands_for_itself(admin, add, seeded):
    parent = add(70)
    orphan = add(60, parent=parent)
    with seeded.transaction() as session:
        session.execute(delete(Incident).where(Incident.id == parent))

    assert listed(admin.get("/incidents").text) == [orphan]
    assert listed(admin.get("/incidents?s=open").text) == [orphan]


def test_checks_of_one_website_are_told_as_such(admin, add, seeded):
    parent = add(60)
    child = add(60, parent=parent, cause=Cause.WEBSITE, address=None)
    with seeded.transaction() as session:
        session.execute(update(Task).values(website_id=1))
        session.execute(update(Incident).where(Incident.id == child).values(address=""))

    page = admin.get("/incidents").text

    assert "speaks for 1 more incident: same website " in page


def test_pages_follow_each_other_by_the_ones_that_speak(admin, add):
    parents = []
    for place in range(60):
        parents.append(add(1_000 - 10 * place, severity=Severity.WARNING))
        add(999 - 10 * place, parent=parents[-1])
    parents.reverse()

    first = admin.get("/incidents").text
    (link,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = admin.get(link.replace("&amp;", "&")).text

    assert listed(first) == parents[:50]
    assert listed(second) == parents[50:]
    assert 'rel="next"' not in second


def test_websites_that_speak_for_others_are_not_put_together_with_more(admin, add):
    first, second = add(60), add(60)
    add(60, parent=second)
    with_more = admin.get("/incidents").text

    assert listed(with_more) == [second, first]


def test_what_is_gathered_is_counted(seeded, add, now):
    parent = add(60, is_open=False)
    children = [add(50, parent=parent, is_open=place > 0) for place in range(3)]
    add(40)

    with seeded.reading() as session:
        leaders = list_leaders(session, IncidentSearch())
        gathered = list_gathered(session, leader_ids=[one.id for one in leaders])
        nothing = list_gathered(session, leader_ids=[])

    assert nothing == {}
    assert list(gathered) == [parent]
    found = gathered[parent]
    assert (found.count, found.open_count, found.website_count) == (4, 2, 4)
    assert found.closed_at is None
    assert [child.id for child in found.children] == [*children[1:], children[0]]


def add_many(database, parent: int, count: int, *, closed_at) -> None:
    with database.transaction() as session:
        leader = session.get_one(Incident, parent)
        of_one = {
            "task_id": leader.task_id,
            "opened_at": leader.opened_at,
            "closed_at": closed_at,
            "severity": Severity.CRITICAL,
            "parent_id": parent,
            "cause": Cause.ADDRESS,
            "address": ADDRESS,
        }
        session.execute(insert(Incident), [of_one] * count)


def test_very_many_under_one_are_not_counted_through(admin, seeded, add, now):
    parent = add(60, is_open=False)
    add_many(seeded, parent, CROWD, closed_at=now - 20 * MINUTE)
    with seeded.reading() as session:
        counted = list_gathered(session, leader_ids=[parent])[parent]
    add(50, parent=parent, is_open=False, closed_at=now - MINUTE)

    with seeded.reading() as session:
        over = list_gathered(session, leader_ids=[parent])[parent]
    still_open = add(50, parent=parent)
    with seeded.reading() as session:
        found = list_gathered(session, leader_ids=[parent])[parent]

    assert (counted.count, counted.is_crowd) == (CROWD + 1, False)
    assert (over.is_crowd, over.closed_at) == (True, now - MINUTE)
    assert (found.count, found.open_count, found.closed_at) == (CROWD + 1, 1, None)
    assert found.children[0].id == still_open
    assert len(found.children) == SHOWN_CHILDREN
    page = admin.get("/incidents?s=open").text
    assert "speaks for over 1,000 more incidents" in page
    assert f'<a href="/incident/{parent}#children">More of them</a>' in page
    page = admin.get(f"/incident/{parent}").text
    assert "It speaks for over 1,000 incidents: same address" in page


def test_open_groups_that_speak_are_in_their_place_among_many(seeded, add):
    shown = [add(1_000, is_open=False)]
    add(1, parent=shown[0])
    for place in range(3):
        shown.append(add(900 - place))
        add(899 - place, is_open=False)
    shown.append(add(800, is_open=False))
    add(2, parent=shown[-1])
    shown.append(add(700))
    shown.reverse()

    for limit in (1, 2, 4, 6, 9):
        found = []
        before = None
        while True:
            search = IncidentSearch(is_open=True, before=before, limit=limit)
            with seeded.reading() as session:
                rows = list_leaders(session, search)
            found += [row.id for row in rows[:limit]]
            if len(rows) <= limit:
                break
            before = (rows[limit - 1].opened_at, rows[limit - 1].id)
        assert found == shown


def test_an_incident_of_the_demonstration_is_listed_as_before(admin, seeded):
    with seeded.reading() as session:
        count = len(session.scalars(select(Incident.id)).all())

    assert count >= len(listed(admin.get("/incidents").text)) > 0
