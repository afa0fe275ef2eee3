"""The page of notices: channels and their tests, the log, what was given up."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from argos.channels import NoticeKind
from argos.core.severity import Severity
from argos.language import Phrase
from argos.server.models import Delivery, DeliveryState, DeliveryTarget, Event
from argos.server.services.notice import Draft, encode_draft
from tests.server.browsing import logged_in


@pytest.fixture
def web_app(make_app, seeded):
    """The application, with channels that cannot be reached."""
    return make_app(
        general__channels={
            "tickets": {
                "type": "webhook",
                "url": "http://127.0.0.1:1/canary-hook",
                "secret": "canary-secret",
            }
        }
    )


@pytest.fixture
def dead(seeded, now) -> list[int]:
    """Two notices that were given up."""
    draft = Draft(
        NoticeKind.NO_AGENT, Severity.CRITICAL, now, Phrase("Agents are at work again")
    )
    with seeded.transaction() as session:
        rows = [
            Delivery(
                notice=json.loads(json.dumps(encode_draft(draft))),
                recipient="mail:canary@example.org",
                state=DeliveryState.DEAD,
                created_at=now - timedelta(days=2),
                due_at=now,
                attempts=9,
                message_id=f"dead-{place}",
                last_error="The mail server <b> answered 550 no such user",
            )
            for place in range(2)
        ]
        session.add_all(rows)
        session.add(
            DeliveryTarget(recipient="mail:canary@example.org", failures=4, next_at=now)
        )
        session.flush()
        return [row.id for row in rows]


def states(seeded, ids):
    with seeded.reading() as session:
        rows = session.scalars(select(Delivery).where(Delivery.id.in_(ids)))
        return [
            (row.state.value, row.attempts, row.dropped_at is not None) for row in rows
        ]


def test_what_was_given_up_is_listed_with_its_reason(admin, dead):
    page = admin.get("/notices?s=dead").text

    assert page.count("given up after 9 attempts") == 2
    assert "The mail server &lt;b&gt; answered 550 no such user" in page
    assert "Agents are at work again" in page
    assert "canary" not in page


@pytest.fixture
def held(seeded, now) -> int:
    """A notice that a silence keeps back; the incident that it is of."""
    with seeded.transaction() as session:
        event = session.scalars(select(Event).order_by(Event.id).limit(1)).one()
        for place, dropped_at in enumerate([None, now]):
            session.add(
                Delivery(
                    event_id=event.id,
                    recipient="local",
                    state=DeliveryState.HELD,
                    created_at=now,
                    due_at=now,
                    held_until=None if dropped_at else now,
                    held_by=f"silence {place + 7}",
                    dropped_at=dropped_at,
                    message_id=f"held-{place}",
                )
            )
        return int(event.incident_id)


def test_what_is_kept_back_says_so_and_why(admin, held):
    log = admin.get("/notices?s=all").text
    story = admin.get(f"/incident/{held}").text
    told = admin.get("/api/app/notices?state=all").json()["notices"]

    assert log.index("not told: old news by then") < log.index("by silence 8")
    assert log.index("kept back") < log.index("by silence 7")
    assert "local is not told yet: kept back by silence 7" in story
    assert (
        "local was not told, for it was old news by then: kept back by silence 8"
        in (story)
    )
    states = [(row["state"], row["held_by"]) for row in told[:2]]
    assert states == [("dropped", "silence 8"), ("held", "silence 7")]


def test_one_is_tried_again(admin, csrf, seeded, dead):
    answer = admin.post(f"/notices/{dead[0]}/retry", data={"csrf": csrf})

    assert answer.status_code == 303
    assert "It is tried again" in admin.get(answer.headers["location"]).text
    assert states(seeded, dead) == [("waiting", 0, False), ("dead", 9, False)]
    with seeded.reading() as session:
        target = session.get_one(DeliveryTarget, "mail:canary@example.org")
        assert (target.failures, target.next_at) == (0, None)


def test_one_is_dropped_and_off_the_list(admin, csrf, seeded, dead):
    answer = admin.post(f"/notices/{dead[0]}/drop", data={"csrf": csrf})

    page = admin.get(answer.headers["location"]).text
    assert page.count("given up after 9 attempts") == 1
    assert states(seeded, dead) == [("dead", 9, True), ("dead", 9, False)]
    assert "dropped" in admin.get("/notices").text


@pytest.mark.parametrize(
    ("verb", "expected"),
    [("retry", ("waiting", 0, False)), ("drop", ("dead", 9, True))],
)
def test_all_are_dealt_with_at_once(admin, csrf, seeded, dead, verb, expected):
    admin.post(f"/notices/{verb}", data={"csrf": csrf})

    assert states(seeded, dead) == [expected, expected]
    assert "Nothing here" in admin.get("/notices?s=dead").text


def test_what_was_not_given_up_cannot_be_dropped(admin, csrf, seeded):
    with seeded.reading() as session:
        (id_,) = session.scalars(select(Delivery.id).limit(1))
        before = session.get_one(Delivery, id_).state

    admin.post(f"/notices/{id_}/drop", data={"csrf": csrf})

    assert states(seeded, [id_])[0][::2] == (before.value, False)


def test_forged_forms_are_refused(admin, seeded, dead):
    for path in (
        f"/notices/{dead[0]}/retry",
        f"/notices/{dead[0]}/drop",
        "/notices/retry",
        "/notices/drop",
        "/channels/local/test",
    ):
        assert admin.post(path, data={"csrf": "wrong"}).status_code == 403

    assert states(seeded, dead) == [("dead", 9, False)] * 2


def test_the_button_of_a_channel_shows_how_its_test_went(admin, csrf, caplog):
    page = admin.post("/channels/local/test", data={"csrf": csrf}).text

    assert "local took the notice" in page
    assert any("Alerting stub" in text for text in caplog.messages)


def test_a_test_that_fails_says_why_and_tells_no_secret(admin, csrf):
    page = admin.post("/channels/tickets/test", data={"csrf": csrf}).text

    assert "tickets could not be told: 127.0.0.1:1 cannot be reached" in page
    assert "canary" not in page


def test_an_unknown_channel_is_not_found(admin, csrf):
    answer = admin.post("/channels/pigeon/test", data={"csrf": csrf})

    assert answer.status_code == 404


def test_the_api_says_the_same(web_app, seeded, now, dead):
    client = logged_in(web_app, seeded, now=now)

    listed = client.get("/api/app/notices?state=dead&limit=1").json()
    retried = client.post(f"/api/app/notices/{dead[0]}/retry")
    again = client.post(f"/api/app/notices/{dead[0]}/drop")
    dropped = client.post(f"/api/app/notices/{dead[1]}/drop")
    channels = client.get("/api/app/channels").json()
    tried = client.post("/api/app/channels/tickets/test").json()

    assert (listed["dead"], listed["next_before"]) == (2, dead[1])
    assert listed["notices"][0]["recipient"] == "mail"
    assert listed["notices"][0]["about"] == "Agents are at work again"
    assert (retried.json(), dropped.json()) == ({"count": 1}, {"count": 1})
    assert again.status_code == 404
    assert [channel["name"] for channel in channels] == ["local", "tickets"]
    assert tried[0]["error"].startswith("127.0.0.1:1 cannot be reached")
    assert client.get("/api/app/webhook-schema").json()["type"] == "object"
    assert client.post("/api/app/channels/pigeon/test").status_code == 404
