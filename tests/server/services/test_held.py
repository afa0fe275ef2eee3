"""Maintenance, silences and quiet hours keep notices back, and lose none."""

from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import delete, select, update

from argos.core.rollup import Kind
from argos.schemas.quiet import Maintenance
from argos.server.models import (
    Delivery,
    Event,
    Incident,
    Result,
    Silence,
    Task,
)
from argos.server.services import held, peace
from argos.windows import DailyHours, OneOff
from tests.server.services.desk import MINUTE, Desk

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(database, config, now) -> Desk:
    return Desk(database, config, now)


@pytest.fixture
def host(desk: Desk) -> str:
    with desk.database.reading() as session:
        domain = session.scalars(select(Task.domain)).one()
    return str(domain).split("//")[1].rstrip("/")


def test_i31_a_problem_under_a_silence_is_told_when_the_silence_ends(desk, host):
    desk.silence(HOUR, website=[host])
    desk.run("c")

    assert (desk.events(), desk.told, desk.kept) == (["opened"], [], ["opened"])

    desk.wait(30 * MINUTE)
    assert desk.told == []

    desk.wait(31 * MINUTE)
    assert (desk.told, desk.kept) == (["opened"], [])


def test_i31_what_begins_and_ends_under_a_silence_is_told_to_nobody(desk, host):
    desk.silence(HOUR, website=[host])
    desk.run("c")
    desk.run("o")
    desk.wait(2 * HOUR)

    assert desk.events() == ["opened", "closed"]
    assert (desk.told, desk.kept) == ([], [])


def test_a_recovery_under_a_silence_of_a_told_problem_comes_afterwards(desk, host):
    desk.run("c")
    desk.silence(HOUR, website=[host])
    desk.run("o")
    assert (desk.told, desk.kept) == (["opened"], ["closed"])

    desk.wait(2 * HOUR)

    assert desk.told == ["opened", "closed"]


def test_a_recovery_after_the_silence_goes_with_its_problem(desk, host):
    desk.silence(10 * MINUTE, website=[host])
    desk.run("c")
    desk.wait(20 * MINUTE)
    desk.run("o")

    assert desk.told == ["opened", "closed"]


def test_a_recovery_that_comes_before_the_housework_is_no_news(desk, host):
    desk.silence(10 * MINUTE, website=[host])
    desk.run("c")
    desk.run("o", after=20 * MINUTE)
    desk.wait(MINUTE)

    assert (desk.told, desk.kept) == ([], [])


def test_a_silence_that_is_ended_by_hand_ends_for_what_it_kept_back(desk, host):
    number = desk.silence(HOUR, website=[host])
    desk.run("c")
    assert peace.end_silence(desk.database, id_=number, by="eva", now=desk.clock.now)

    desk.wait(held.LOOK_AGAIN)

    assert desk.told == ["opened"]
    assert not peace.end_silence(
        desk.database, id_=number, by="eva", now=desk.clock.now
    )


def test_a_silence_of_others_keeps_nothing_back(desk):
    desk.silence(HOUR, website=["b.example.org"])
    desk.run("c")

    assert desk.told == ["opened"]


def test_maintenance_of_the_config_keeps_back_and_counts_apart(desk, now):
    window = OneOff(now - HOUR, now + HOUR)
    desk.set(maintenance=(Maintenance(window=window, name="Patch day"),))
    desk.run("c")

    assert (desk.told, desk.kept) == ([], ["opened"])
    with desk.database.reading() as session:
        assert set(session.scalars(select(Result.in_maintenance))) == {True}
        tallies = session.scalars(select(Task.open_counts)).all()
    assert tallies == [bytes([Kind.MAINTENANCE, 1])] * len(tallies)

    desk.set(maintenance=())
    desk.wait(held.LOOK_AGAIN)
    assert desk.told == ["opened"]


def test_a_silence_counts_what_is_measured_as_ever(desk, host):
    desk.silence(HOUR, website=[host])
    desk.run("c")

    with desk.database.reading() as session:
        assert set(session.scalars(select(Result.in_maintenance))) == {False}


def test_quiet_hours_keep_back_only_what_is_not_critical(desk):
    desk.clock.now = desk.clock.now.replace(hour=23)
    desk.set(quiet_hours=DailyHours(time(22), time(7), ZoneInfo("UTC")))
    desk.run("u")
    assert (desk.told, desk.kept) == ([], ["opened"])

    # Now it is worse: this replaces what waits.
    desk.run("c")
    assert (desk.told, desk.kept) == (["worsened"], [])

    desk.run("o")
    assert desk.told == ["worsened", "closed"]


def test_the_end_of_what_woke_people_wakes_them_after_a_silence_at_night(desk, host):
    desk.clock.now = desk.clock.now.replace(hour=23)
    desk.set(quiet_hours=DailyHours(time(22), time(7), ZoneInfo("UTC")))
    desk.run("c")
    desk.silence(HOUR, website=[host])
    desk.run("o")
    assert (desk.told, desk.kept) == (["opened"], ["closed"])

    desk.wait(2 * HOUR)

    assert desk.told == ["opened", "closed"]


def test_what_waits_in_quiet_hours_comes_in_the_morning(desk):
    desk.clock.now = desk.clock.now.replace(hour=23)
    desk.set(quiet_hours=DailyHours(time(22), time(7), ZoneInfo("UTC")))
    desk.run("u")
    desk.wait(8 * HOUR)

    assert desk.told == ["opened"]
    with desk.database.reading() as session:
        delivery = session.scalars(select(Delivery)).one()
    assert delivery.held_by == "quiet hours"
    assert delivery.due_at == delivery.created_at == desk.clock.now


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.sampled_from(["o", "c", "u", "silence", "end", "wait"]), max_size=15)
)
def test_i22_people_hear_of_problem_and_recovery_in_turn(desk, host, steps):
    """Whatever is silent when: in the end they know what holds."""
    _forget(desk)
    for step in steps:
        _take(desk, host, step)
    desk.wait(2 * HOUR)
    desk.wait(2 * HOUR)

    assert _knows_of_problem(desk.told) is _has_open_incident(desk)
    assert desk.kept == []


def _forget(desk: Desk) -> None:
    with desk.database.transaction() as session:
        for model in (Delivery, Event, Incident, Result, Silence):
            session.execute(delete(model))
        session.execute(
            update(Task).values(
                told_severity="ok", contiguous_failures=0, run_history=1,
                is_flapping=False, failing_since=None, severity="unknown",
            )
        )  # fmt: skip


def _take(desk: Desk, host: str, step: str) -> None:
    now = desk.clock.now
    match step:
        case "silence":
            desk.silence(HOUR, website=[host])
        case "end":
            with desk.database.reading() as session:
                present = peace.list_silences(session, now=now)
            for row in present[:1]:
                peace.end_silence(desk.database, id_=row.id, by="eva", now=now)
        case "wait":
            desk.wait(10 * MINUTE)
        case _:
            desk.run(step)


def _knows_of_problem(told: list[str]) -> bool:
    is_told = False
    for kind in told:
        # What was kept back as it opened may be told as it worsens.
        assert kind not in ({"opened", "flapping"} if is_told else {"closed"}), told
        is_told = kind != "closed"
    return is_told


def _has_open_incident(desk: Desk) -> bool:
    with desk.database.reading() as session:
        open_ = select(Incident.id).where(Incident.closed_at.is_(None))
        return session.scalars(open_).first() is not None
