"""What people read: titles, lines, reasons and links."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from argos.channels import Notice, NoticeKind
from argos.core.incident import EventKind
from argos.core.probe import IPVersion
from argos.core.severity import Severity, Status
from argos.server.queries.deliveries import ClaimedDelivery
from argos.server.services.notice import (
    decode_notice,
    encode_notice,
    format_duration,
    notice_of,
)

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
        opened_at=NOON,
        task_id=7,
        url="https://example.org/shop",
        ip_version=IPVersion.V4,
        check="status-is",
    )._replace(**changes)


def test_notice_says_what_0_10_3_says_and_why():
    notice = notice_of(delivery(), base_url="https://argos.example.org/")

    assert notice == Notice(
        message_id="m1",
        kind=NoticeKind.OPENED,
        severity=Severity.CRITICAL,
        at=NOON,
        title="❌ example.org (IPv4): status critical",
        lines=(
            ("URL", "https://example.org/shop (IPv4)"),
            ("Check", "status-is"),
            ("Status", "critical"),
            ("Time", "2026-03-14 12:00:00 UTC"),
            ("Previous status", "ok"),
            ("Reason", "The status is 500, not 200."),
        ),
        url="https://argos.example.org/task/7/results",
        task_id=7,
        status=Status.FAILURE,
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
        base_url=None,
    )

    assert notice.title == "✅ example.org (IPv4): status ok"
    assert notice.lines[-2:] == (
        ("Previous status", "critical"),
        ("Was not ok for", "2 h 5 min"),
    )
    assert notice.url is None


def test_problem_that_was_waited_for_says_since_when():
    notice = notice_of(delivery(opened_at=NOON - timedelta(minutes=10)), base_url=None)

    assert notice.lines[-1] == ("Not ok since", "2026-03-14 11:50:00 UTC")


@pytest.mark.parametrize(
    ("severity", "icon"),
    [("ok", "✅"), ("warning", "⚠️"), ("critical", "❌"), ("unknown", "❔")],
)
def test_each_severity_has_its_icon(severity, icon):
    notice = notice_of(delivery(severity=Severity(severity)), base_url=None)

    assert notice.title == f"{icon} example.org (IPv4): status {severity}"


def test_only_the_configured_base_url_is_linked():
    notice = notice_of(delivery(), base_url="https://argos.example.org/monitoring")

    assert notice.url == "https://argos.example.org/monitoring/task/7/results"


def test_password_of_a_url_is_not_told():
    notice = notice_of(
        delivery(url="https://ada:secret@example.org:8443/"), base_url=None
    )

    assert "secret" not in notice.text + notice.title
    assert notice.lines[0] == ("URL", "https://example.org:8443/ (IPv4)")
    assert notice.title == "❌ example.org:8443 (IPv4): status critical"


def test_texts_of_websites_cannot_break_the_lines():
    facts = {"error_message": "one\r\nSubject: two\u202e" + "x" * 1000}
    notice = notice_of(delivery(facts=facts), base_url=None)

    (reason,) = [value for label, value in notice.lines if label == "Reason"]
    assert reason.startswith("one Subject: two\\u202exxx")
    assert len(reason) < 350


@pytest.mark.parametrize("facts", [None, {}, {"reason": ""}, {"other": 1}], ids=str)
def test_without_a_reason_there_is_no_line_for_it(facts):
    notice = notice_of(delivery(facts=facts), base_url=None)

    assert "Reason" not in dict(notice.lines)


def test_notice_of_no_task_survives_its_row():
    notice = Notice(
        message_id="m2",
        kind=NoticeKind.NO_AGENT,
        severity=Severity.CRITICAL,
        at=NOON,
        title="No agent has been seen within the last 5 minutes",
        lines=(("No agent since", "2026-03-14 11:55:00 UTC"),),
        url="https://argos.example.org/agents",
        status=Status.ERROR,
    )

    document = encode_notice(notice)
    claimed = delivery(notice=document, message_id="m2", kind=None, at=None)

    assert notice_of(claimed, base_url="https://argos.example.org") == notice
    assert decode_notice(document, message_id="m2", base_url=None).url is None


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
    assert format_duration(timedelta(seconds=seconds)) == text
