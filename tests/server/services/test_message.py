"""Digests: their titles, and what they list."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from argos.core.cause import Cause, Common
from argos.core.incident import EventKind
from argos.core.probe import IPVersion
from argos.core.severity import Severity, Status
from argos.server.queries.deliveries import ClaimedDelivery
from argos.server.services.message import message_of
from argos.server.services.notice import WATCHED_NO_LONGER
from argos.server.services.wording import Wording

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def delivery(number: int, **changes: Any) -> ClaimedDelivery:
    """A delivery of a website of its own that is down."""
    return ClaimedDelivery(
        id=number,
        recipient="mail",
        message_id=f"m{number}",
        created_at=NOON,
        notice=None,
        kind=EventKind.OPENED,
        at=NOON,
        severity=Severity.CRITICAL,
        previous_severity=Severity.OK,
        status=Status.FAILURE,
        facts={},
        agent_id="anna",
        opened_at=NOON,
        incident_id=number,
        task_id=number,
        url=f"https://site{number}.example/",
        ip_version=IPVersion.V4,
        check="status-is",
        leader_id=number,
    )._replace(**changes)


def child(number: int, **changes: Any) -> ClaimedDelivery:
    """One that the first one speaks for."""
    return delivery(
        number,
        leader_id=1,
        cause=Cause.ADDRESS,
        address="192.0.2.1 443 connect",
        leader_domain="https://site1.example/",
    )._replace(**changes)


def digest(*deliveries: ClaimedDelivery, language: str = "en") -> Any:
    return message_of(
        deliveries, batch_id="b", references=(), wording=Wording(language)
    )


def test_one_matter_is_named_in_the_title_alone():
    notice = digest(delivery(1), child(2), child(3))

    assert notice.title == (
        "❌ 3 problems, same address 192.0.2.1 (connect) · "
        "site1.example, site2.example, site3.example, since 12:00 UTC"
    )
    assert all("192.0.2.1" not in entry.text for entry in notice.entries)


def test_one_matter_is_named_in_french():
    notice = digest(delivery(1), child(2, cause=Cause.DEPENDENCY), language="fr")

    assert notice.title.startswith("❌ 2 problèmes, dépend de site1.example · ")


def test_the_cause_of_most_is_named():
    notice = digest(
        delivery(1),
        child(2, cause=Cause.WEBSITE),
        child(3, cause=Cause.WEBSITE),
        child(4, cause=Cause.WEBSITE),
        child(5),
        child(6, cause=Cause.CERTIFICATE, certificate="2026-04-01T00:00:00+00:00"),
        child(7),
    )

    assert notice.title.startswith("❌ 7 problems, same address 192.0.2.1 (connect) · ")


def test_checks_of_one_website_need_no_cause():
    notice = digest(delivery(1), child(2, cause=Cause.WEBSITE))

    assert notice.title.startswith("❌ 2 problems · site")


def test_several_matters_are_named_line_by_line():
    notice = digest(
        delivery(1),
        child(2),
        delivery(3),
        child(4, leader_id=3, cause=Cause.AGENT, agent="anna timeout"),
    )

    assert notice.title.startswith("❌ 4 problems · site1.example, ")
    assert [entry.text.partition("12:00:00 UTC")[2] for entry in notice.entries] == [
        "",
        " · same address 192.0.2.1 (connect)",
        "",
        " · seen by agent anna (timeout)",
    ]


def test_programs_learn_the_parent_and_the_cause():
    first, second = digest(delivery(1), child(2)).items

    assert (first.parent_id, first.common) == (None, None)
    assert second.parent_id == 1
    assert second.common == Common(Cause.ADDRESS, "192.0.2.1", "connect")


def test_recoveries_of_one_matter_name_it_too():
    over = {"kind": EventKind.CLOSED, "severity": Severity.OK}
    notice = digest(delivery(1, **over), child(2, **over))

    assert notice.title.startswith("✅ 2 ok again, same address 192.0.2.1 (connect) · ")


def test_what_was_kept_back_for_long_is_told_with_its_day():
    told_at = NOON + timedelta(days=3)
    notice = digest(
        delivery(1, created_at=told_at),
        delivery(2, at=told_at, opened_at=told_at, created_at=told_at),
    )

    assert notice.title.endswith("since 2026-03-14 12:00 UTC")
    first, second = (entry.text for entry in notice.entries)
    assert "critical at 2026-03-14 12:00:00 UTC" in first
    assert "critical at 12:00:00 UTC" in second


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("en", "✅ 1 ok again, 1 watched no longer · "),
        ("fr", "✅ 1 rétabli, 1 n\u2019est plus surveillé · "),
    ],
)
def test_what_was_taken_out_of_the_config_is_not_called_ok_again(language, title):
    over = {"kind": EventKind.CLOSED, "severity": Severity.OK}
    removed = delivery(2, **over, facts={WATCHED_NO_LONGER: True})

    notice = digest(delivery(1, **over), removed, language=language)

    assert notice.title.startswith(title)
