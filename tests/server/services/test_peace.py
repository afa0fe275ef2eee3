"""What is silent when, and which silences are refused."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from argos.core.matching import Matcher, Subject
from argos.core.severity import Severity
from argos.errors import SilenceRefused
from argos.schemas.quiet import Maintenance
from argos.server.models import SilenceKind, Website
from argos.server.queries.silences import NewSilence, list_subjects
from argos.server.services.peace import Calendar, Peace, Rule, add_silence, look
from argos.windows import OneOff, Recurring, read_cron

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHOP = Subject("https://shop.example/", "https://shop.example/", "status-is")
BLOG = Subject("https://blog.example/", "https://blog.example/", "status-is")


def _config(*general: Maintenance, **by_website: Maintenance) -> Any:
    websites = [
        SimpleNamespace(domain=f"https://{name}.example/", maintenance=(window,))
        for name, window in by_website.items()
    ]
    return SimpleNamespace(
        general=SimpleNamespace(maintenance=general), websites=websites
    )


def _labels(calendar: Calendar, now: datetime) -> list[str]:
    return [rule.label for rule in calendar.open_at(now)]


def test_windows_open_and_close_as_time_goes_by():
    daily = Recurring(read_cron("0 13 * * *", ZoneInfo("UTC")), HOUR)
    once = OneOff(NOW, NOW + 2 * HOUR)
    calendar = Calendar(_config(Maintenance(daily, "daily"), Maintenance(once)))

    seen = [_labels(calendar, NOW + hours * HOUR) for hours in (-1, 0, 1, 2, 25)]

    assert seen == [
        [],
        ["maintenance"],
        ["maintenance", "maintenance daily"],
        [],
        ["maintenance daily"],
    ]


def test_a_clock_that_was_set_back_opens_a_window_again():
    calendar = Calendar(_config(Maintenance(OneOff(NOW, NOW + HOUR), "once")))

    assert _labels(calendar, NOW) == ["maintenance once"]
    assert _labels(calendar, NOW + 2 * HOUR) == []
    assert _labels(calendar, NOW) == ["maintenance once"]


def test_a_websites_own_window_is_of_it_alone():
    window = Maintenance(OneOff(NOW, NOW + HOUR))
    peace = Peace(Calendar(_config(shop=window)).open_at(NOW))

    assert peace.is_maintained(SHOP)
    assert not peace.is_maintained(BLOG)


def test_of_several_rules_the_longest_holds():
    rules = [
        Rule("short", Matcher(website=["shop.example"]), NOW + HOUR, False),
        Rule("long", Matcher(website=["*.example"]), NOW + 2 * HOUR, True),
        Rule("other", Matcher(tag=["x"]), NOW + 9 * HOUR, True),
    ]

    found = Peace(rules).hold(SHOP, Severity.CRITICAL)

    assert found is rules[1]


@pytest.mark.parametrize(
    ("severity", "is_held"),
    [("warning", True), ("unknown", True), ("critical", False)],
)
def test_quiet_hours_let_pass_what_is_critical(severity, is_held):
    peace = Peace(quiet_until=NOW + HOUR)

    assert (peace.hold(SHOP, Severity(severity)) is not None) is is_held


def _new(matcher: Matcher, now: datetime, **changes: Any) -> NewSilence:
    values = {
        "kind": SilenceKind.MAINTENANCE,
        "matcher": matcher,
        "starts_at": now,
        "ends_at": now + HOUR,
        "comment": "",
        "created_by": "eva",
    }
    return NewSilence(**{**values, **changes})


def test_a_silence_holds_from_its_start_to_its_end(database, config, now):
    new = _new(Matcher(website=["a.example"]), now, starts_at=now + HOUR / 2)
    number = add_silence(database, new, now=now)

    with database.reading() as session:
        seen = [
            [rule.label for rule in look(session, config=config, now=moment).rules]
            for moment in (now, now + HOUR / 2, now + HOUR)
        ]

    assert seen == [[], [f"maintenance {number}"], []]


@pytest.mark.parametrize(
    ("matcher", "changes", "message"),
    [
        (Matcher(), {}, "This would silence everything"),
        (Matcher(website=["*"]), {}, "This would silence everything"),
        (Matcher(tag=["a"]), {"ends_at": -HOUR}, "must end later than it starts"),
        (Matcher(tag=["a"]), {"ends_at": 93 * 24 * HOUR}, "92 days at most"),
        (Matcher(tag=["a"]), {}, "This would silence 12 of 20 websites"),
        (Matcher(url=["http*"]), {}, "This would silence 20 of 20 websites"),
        (Matcher(url=["*/"]), {}, "This would silence 20 of 20 websites"),
    ],
)
def test_a_boundless_silence_is_refused(database, now, matcher, changes, message):
    _add_websites(database)
    changes = {name: now + value for name, value in changes.items()}

    with pytest.raises(SilenceRefused, match=message):
        add_silence(database, _new(matcher, now, **changes), now=now)


def test_a_broad_silence_can_be_made_on_purpose(database, now):
    _add_websites(database)

    assert add_silence(
        database, _new(Matcher(tag=["a"]), now), now=now, is_broad_ok=True
    )
    assert add_silence(database, _new(Matcher(tag=["b"]), now), now=now)
    assert add_silence(database, _new(Matcher(check=["ssl-*"]), now), now=now)
    assert add_silence(database, _new(Matcher(url=["*/login"]), now), now=now)


def _add_websites(database: Any) -> None:
    with database.transaction() as session:
        session.add_all(
            Website(
                domain=f"https://{place}.example/",
                host=f"{place}.example",
                tags=["a"] if place < 12 else ["b"],
            )
            for place in range(20)
        )


def test_no_task_is_no_subject(database):
    with database.reading() as session:
        assert list_subjects(session, task_ids=[1]) == {}
