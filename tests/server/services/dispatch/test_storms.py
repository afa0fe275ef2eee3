"""Many notices at once are few messages, and none is left out."""

from sqlalchemy import update

from argos.core.cause import Cause
from argos.core.incident import EventKind
from argos.server.models import (
    Incident,
)
from argos.server.services.dispatch import (
    Dispatcher,
)


def test_i27_a_thousand_websites_are_three_messages_that_list_each_once(
    means, clock, gotify, add, recipient
):
    dispatcher = Dispatcher(means)
    counts = []
    for second in [*range(12), *range(12, 120, 9)]:
        if second < 12:
            for place in range(5):
                add(f"site{second}-{place}")
        dispatcher.run_lane(recipient)
        counts.append(len(gotify.messages))
        clock.move(seconds=1 if second < 12 else 9)

    assert counts[0] == 1
    assert counts[-1] == 3
    told = "".join(message["message"] for message in gotify.messages).replace("\\", "")
    assert [
        told.count(f"https://site{second}-{place}.example.org/")
        for second in range(12)
        for place in range(5)
    ] == [1] * 60


def test_i27_a_trickle_is_few_messages_that_list_each_once(
    means, clock, gotify, add, recipient
):
    sent_at = []
    for second in range(0, 300, 5):
        if second < 240:
            add(f"site{second}")
        before = len(gotify.messages)
        # Another server each time: what was told stands in the database.
        Dispatcher(means).run_lane(recipient)
        sent_at += [second] * (len(gotify.messages) - before)
        clock.move(seconds=5)

    assert sent_at == [0, 10, 70, 130, 190, 250]
    listed = "".join(message["message"] for message in gotify.messages)
    assert [
        listed.replace("\\", "").count(f"https://site{second}.example.org/")
        for second in range(0, 240, 5)
    ] == [1] * 48


def test_i28_what_is_over_by_the_time_it_is_told_is_told_all_the_same(
    means, clock, gotify, add, recipient
):
    dispatcher = Dispatcher(means)
    for site in "abcdef":
        add(site)
    dispatcher.run_lane(recipient)
    add("g")
    clock.move(seconds=30)
    add("g", EventKind.CLOSED)
    clock.move(seconds=30)

    dispatcher.run_lane(recipient)

    told = gotify.messages[1]["message"].replace("\\", "")
    assert gotify.titles[1] == "✅ 1 ok again · g.example.org"
    assert "critical at 12:00:00 UTC, ok at 12:00:30 UTC" in told


def test_incidents_with_one_cause_are_told_in_one_message(
    database, means, gotify, add, recipient
):
    for site in "ab":
        add(site)
    with database.transaction() as session:
        session.execute(
            update(Incident)
            .where(Incident.id == 2)
            .values(parent_id=1, cause=Cause.DEPENDENCY)
        )

    Dispatcher(means).run_lane(recipient)

    assert gotify.titles[0].startswith(
        "❌ 2 problems, depends on a.example.org · a.example.org, b.example.org"
    )
