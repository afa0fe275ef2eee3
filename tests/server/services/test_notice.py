"""What people read: titles, lines, reasons and links."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from argos.channels import Item, Notice, NoticeKind
from argos.core.cause import Cause, Common
from argos.core.incident import EventKind
from argos.core.probe import IPVersion
from argos.core.severity import Severity, Status
from argos.language import Phrase, texts_in
from argos.server.queries.deliveries import ClaimedDelivery
from argos.server.services.notice import Draft, encode_draft, notice_of
from argos.server.services.wording import Wording, cause_words, format_duration

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def delivery(**changes: Any) -> ClaimedDelivery:
    """A delivery of a website that is down."""
    return ClaimedDelivery(
        id=1,
        recipient="local",
        message_id="m1",
        created_at=NOON,
        notice=None,
        kind=EventKind.OPENED,
        at=NOON,
        severity=Severity.CRITICAL,
        previous_severity=Severity.OK,
        status=Status.FAILURE,
        facts={"reason": "The status is 500, not 200."},
        agent_id="anna",
        opened_at=NOON,
        incident_id=3,
        task_id=7,
        url="https://example.org/shop",
        ip_version=IPVersion.V4,
        check="status-is",
    )._replace(**changes)


def test_what_was_kept_back_for_long_says_on_which_day_it_began():
    late = delivery(created_at=NOON + timedelta(days=3))

    assert "since 2026-03-14 12:00 UTC" in notice_of(late, Wording()).title


def test_notice_says_what_0_10_3_says_and_why():
    notice = notice_of(delivery(), Wording(base_url="https://argos.example.org/"))

    assert notice == Notice(
        message_id="m1",
        kind=NoticeKind.OPENED,
        severity=Severity.CRITICAL,
        at=NOON,
        title="❌ example.org (IPv4): status critical · status-is: "
        "The status is 500, not 200, since 12:00 UTC, seen from anna",
        lines=(
            ("URL", "https://example.org/shop (IPv4)"),
            ("Check", "status-is"),
            ("Status", "critical"),
            ("Time", "2026-03-14 12:00:00 UTC"),
            ("Previous status", "ok"),
            ("Reason", "The status is 500, not 200."),
            ("Seen from", "anna"),
        ),
        url="https://argos.example.org/task/7/results",
        task_id=7,
        status=Status.FAILURE,
        items=(
            Item(
                id="m1",
                kind="opened",
                title=notice.title,
                severity=Severity.CRITICAL,
                previous_severity=Severity.OK,
                status=Status.FAILURE,
                at=NOON,
                since=NOON,
                website="example.org",
                url="https://example.org/shop",
                ip_version="4",
                check="status-is",
                task_id=7,
                incident_id=3,
                agent="anna",
                reason="The status is 500, not 200.",
                link="https://argos.example.org/task/7/results",
            ),
        ),
    )


def test_recovery_says_how_long_it_lasted():
    notice = notice_of(
        delivery(
            kind=EventKind.CLOSED,
            severity=Severity.OK,
            previous_severity=Severity.CRITICAL,
            opened_at=NOON - timedelta(hours=2, minutes=5, seconds=3),
            facts={"reason": "never shown"},
        ),
        Wording(),
    )

    assert notice.title == (
        "✅ example.org (IPv4): status ok · status-is, after 2 h 5 min"
    )
    assert notice.lines[-3:] == (
        ("Previous status", "critical"),
        ("Was not ok for", "2 h 5 min"),
        ("Seen from", "anna"),
    )
    assert notice.url is None


def test_problem_that_was_waited_for_says_since_when():
    notice = notice_of(delivery(opened_at=NOON - timedelta(minutes=10)), Wording())

    assert ("Not ok since", "2026-03-14 11:50:00 UTC") in notice.lines
    assert ", since 11:50 UTC, " in notice.title


@pytest.mark.parametrize(
    ("severity", "icon"),
    [("ok", "✅"), ("warning", "⚠️"), ("critical", "❌"), ("unknown", "❔")],
)
def test_each_severity_has_its_icon(severity, icon):
    notice = notice_of(delivery(severity=Severity(severity)), Wording())

    assert notice.title.startswith(f"{icon} example.org (IPv4): status {severity} · ")


def test_only_the_configured_base_url_is_linked():
    notice = notice_of(
        delivery(), Wording(base_url="https://argos.example.org/monitoring")
    )

    assert notice.url == "https://argos.example.org/monitoring/task/7/results"


def test_password_of_a_url_is_not_told():
    notice = notice_of(delivery(url="https://ada:secret@example.org:8443/"), Wording())

    assert "secret" not in notice.text + notice.title
    assert notice.lines[0] == ("URL", "https://example.org:8443/ (IPv4)")
    assert notice.title.startswith("❌ example.org:8443 (IPv4): status critical · ")


def test_texts_of_websites_cannot_break_the_lines():
    facts = {"error_message": "one\r\nSubject: two\u202e" + "x" * 1000}
    notice = notice_of(delivery(facts=facts), Wording())

    (reason,) = [value for label, value in notice.lines if label == "Reason"]
    assert reason.startswith("one Subject: two\\u202exxx")
    assert len(reason) < 350


@pytest.mark.parametrize("facts", [None, {}, {"reason": ""}, {"other": 1}], ids=str)
def test_without_a_reason_there_is_no_line_for_it(facts):
    notice = notice_of(delivery(facts=facts), Wording())

    assert "Reason" not in dict(notice.lines)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"retrieved": 503}, ("Found", "503")),
        ({"retrieved": "<h1>\nOops\x1b"}, ("Found", "<h1> Oops\\u001b")),
        ({"expires_in": 3}, ("Certificate", "expires in 3 days")),
        ({"expires_in": 1}, ("Certificate", "expires in 1 day")),
        ({"expires_in": 0}, ("Certificate", "expires today")),
        ({"expires_in": -1}, ("Certificate", "expired 1 day ago")),
    ],
    ids=str,
)
def test_the_evidence_is_told(facts, line):
    assert line in notice_of(delivery(facts=facts), Wording()).lines
    assert (
        line
        not in notice_of(delivery(facts=facts, severity=Severity.OK), Wording()).lines
    )


def test_notice_of_no_task_survives_its_row_and_is_told_in_the_recipients_language():
    draft = Draft(
        kind=NoticeKind.NO_AGENT,
        severity=Severity.CRITICAL,
        at=NOON,
        title=Phrase(
            "No agent has been seen within the last {minutes} minutes", {"minutes": 5}
        ),
        lines=((Phrase("No agent since"), NOON - timedelta(minutes=5)),),
    )

    document = json.loads(json.dumps(encode_draft(draft)))
    claimed = delivery(notice=document, message_id="m2", kind=None, at=None)

    english = notice_of(claimed, Wording(base_url="https://argos.example.org"))
    assert english == Notice(
        message_id="m2",
        kind=NoticeKind.NO_AGENT,
        severity=Severity.CRITICAL,
        at=NOON,
        title="No agent has been seen within the last 5 minutes",
        lines=(("No agent since", "2026-03-14 11:55:00 UTC"),),
        url="https://argos.example.org/agents",
        status=Status.ERROR,
    )
    french = notice_of(claimed, Wording("fr"))
    assert (
        french.title == "Aucun agent n\u2019a été vu au cours des 5 dernières minutes"
    )
    assert french.url is None


def test_moments_are_told_by_the_clock_of_the_config():
    paris = Wording(time_zone=ZoneInfo("Europe/Paris"))
    notice = notice_of(delivery(opened_at=NOON - timedelta(days=1)), paris)

    assert "since 2026-03-13 13:00 CET" in notice.title
    assert ("Time", "2026-03-14 13:00:00 CET") in notice.lines
    assert ("Not ok since", "2026-03-13 13:00:00 CET") in notice.lines

    draft = Draft(
        kind=NoticeKind.NO_AGENT,
        severity=Severity.CRITICAL,
        at=NOON,
        title=Phrase("No agent has been seen within the last minute"),
        lines=((Phrase("No agent since"), NOON + timedelta(days=30)),),
    )
    of_agents = notice_of(delivery(notice=encode_draft(draft)), paris)
    assert of_agents.lines == (("No agent since", "2026-04-13 14:00:00 CEST"),)


def test_a_website_with_a_name_is_called_by_it():
    notice = notice_of(delivery(name="The\x1bshop"), Wording())

    assert notice.lines[0] == ("Website", "The\\u001bshop")
    assert notice.items[0].name == "The\\u001bshop"


def test_the_same_in_french():
    notice = notice_of(
        delivery(opened_at=NOON - timedelta(days=1)),
        Wording("fr", "https://argos.example.org"),
    )

    assert notice.title == (
        "❌ example.org (IPv4) : état critique · status-is: The status is 500, not "
        "200, depuis 2026-03-13 12:00 UTC, vu par anna"
    )
    assert notice.text.splitlines() == [
        "URL:             https://example.org/shop (IPv4)",
        "Contrôle:        status-is",
        "État:            critique",
        "Heure:           2026-03-14 12:00:00 UTC",
        "État précédent:  ok",
        "Raison:          The status is 500, not 200.",
        "En échec depuis: 2026-03-13 12:00:00 UTC",
        "Vu par:          anna",
        "",
        "À voir sur https://argos.example.org/task/7/results",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (86_400 * 3 + 7_300, "3 d 2 h"),
    ],
)
def test_durations_are_told_in_two_units(seconds, text):
    assert format_duration(timedelta(seconds=seconds), texts_in("en")) == text


CERTIFICATE = "2026-04-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("common", "english", "french"),
    [
        (Common(Cause.WEBSITE), "same website", "même site"),
        (Common(Cause.WEBSITE, "a.example"), "same website a.example", "même site a.example"),
        (Common(Cause.DEPENDENCY), "depends on another website", "dépend d\u2019un autre site"),
        (
            Common(Cause.DEPENDENCY, "https://ada:secret@b.example/"),
            "depends on b.example",
            "dépend de b.example",
        ),
        (Common(Cause.DEPENDENCY, "ada:secret@b.example"), "depends on b.example", "dépend de b.example"),
        (Common(Cause.CERTIFICATE), "same certificate", "même certificat"),
        (
            Common(Cause.CERTIFICATE, CERTIFICATE),
            "same certificate, valid until 2026-04-01",
            "même certificat, valable jusqu\u2019au 2026-04-01",
        ),
        (Common(Cause.ADDRESS), "same address", "même adresse"),
        (
            Common(Cause.ADDRESS, "192.0.2.1", "connect"),
            "same address 192.0.2.1 (connect)",
            "même adresse 192.0.2.1 (connect)",
        ),
        (Common(Cause.AGENT), "seen by one agent", "vu par un seul agent"),
        (
            Common(Cause.AGENT, "an\u202ena", "status 502"),
            "seen by agent an\\u202ena (status 502)",
            "vu par l\u2019agent an\\u202ena (status 502)",
        ),
    ],
)  # fmt: skip
def test_causes_have_names_in_each_language(common, english, french):
    assert cause_words(common, texts_in("en")) == english
    assert cause_words(common, texts_in("fr")) == french


def test_every_cause_has_words():
    for cause in Cause:
        assert cause_words(Common(cause), texts_in("en"))


def test_a_name_that_somebody_made_up_stays_short():
    words = cause_words(Common(Cause.ADDRESS, "x" * 999, "y" * 999), texts_in("en"))

    assert len(words) < 200


def gathered(**changes: Any) -> ClaimedDelivery:
    """A delivery of a website that another one's incident speaks for."""
    return delivery(
        leader_id=2,
        cause=Cause.ADDRESS,
        leader_domain="https://b.example/",
        address="192.0.2.1 443 connect",
    )._replace(**changes)


def test_notice_of_what_is_gathered_names_the_cause():
    notice = notice_of(gathered(), Wording())

    assert notice.title == (
        "❌ example.org (IPv4): status critical · status-is: The status is 500, not "
        "200, same address 192.0.2.1 (connect), since 12:00 UTC, seen from anna"
    )
    assert ("Cause", "same address 192.0.2.1 (connect)") in notice.lines
    french = notice_of(gathered(cause=Cause.DEPENDENCY), Wording("fr"))
    assert "200, dépend de b.example, depuis" in french.title


def test_checks_of_one_website_need_no_cause_in_their_titles():
    notice = notice_of(gathered(cause=Cause.WEBSITE), Wording())

    assert "same website" not in notice.title
    assert ("Cause", "same website b.example") in notice.lines


def test_recovery_names_no_cause():
    notice = notice_of(gathered(kind=EventKind.CLOSED, severity=Severity.OK), Wording())

    assert "192.0.2.1" not in notice.title + notice.text
