"""Handles that are set up once and used again."""

import pytest

from argos.agent.engine.profile import Profiles
from argos.agent.engine.request import Request, prepare_request
from argos.core.probe import Probe


def request_of(url: str = "http://example.org/", **more) -> Request:
    return prepare_request(Probe(url, **more), user_agent="x")


@pytest.fixture
def profiles():
    profiles = Profiles(ca_file="/nowhere")
    yield profiles
    profiles.retire_all()


def test_requests_that_differ_by_url_alone_share_handles(profiles):
    first = profiles.find(request_of("http://one.example:81/a"))
    second = profiles.find(request_of("http://two.example/b"))
    curl = profiles.take(first)
    profiles.give_back(first, curl)

    assert first is second
    assert profiles.take(second) is curl


@pytest.mark.parametrize(
    "other",
    [
        request_of("https://example.org/"),
        request_of(headers={"Authorization": "secret"}),
        request_of("http://user:password@example.org/"),
        request_of(method="HEAD"),
        request_of(method="POST", body=b"x"),
    ],
    ids=["scheme", "headers", "user", "method", "body"],
)
def test_requests_that_differ_by_more_do_not(profiles, other):
    plain = profiles.find(request_of())
    curl = profiles.take(plain)
    profiles.give_back(plain, curl)

    assert profiles.take(profiles.find(other)) is not curl


def test_no_handle_runs_two_transfers_at_once(profiles):
    plain = profiles.find(request_of())

    assert profiles.take(plain) is not profiles.take(plain)


def test_idle_handles_are_bounded():
    profiles = Profiles(ca_file="/nowhere", max_idle=3)
    plain = profiles.find(request_of())
    handles = [profiles.take(plain) for _ in range(5)]

    for curl in handles:
        profiles.give_back(plain, curl)

    assert plain.is_retired
    assert plain.idle == []
    assert profiles.find(request_of()) is not plain


def test_profiles_are_bounded():
    profiles = Profiles(ca_file="/nowhere", max_profiles=3)
    found = [profiles.find(request_of(headers={"A": str(n)})) for n in range(4)]

    assert [profile.is_retired for profile in found] == [True, True, True, False]
