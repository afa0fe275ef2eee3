from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from argos.core.cause import (
    HOLD_MARGIN,
    LONGEST_HOLD,
    SLACK,
    WEAK_COUNT,
    Cause,
    Leader,
    Leaders,
    Newcomer,
    Traits,
    common_of,
    find_cycle,
    find_leader,
    hold_interval,
    traits_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAILED = {"error_message": "refused", "error_type": "connect", "error_details": ""}


def traits(url="https://a.example/", agent="anna", **facts):
    return traits_of(facts, url=url, website="https://a.example/", agent=agent)


@pytest.mark.parametrize(
    ("facts", "url", "address"),
    [
        (FAILED | {"address": "192.0.2.1"}, "https://a/", "192.0.2.1 443 connect"),
        (FAILED | {"address": "192.0.2.1"}, "http://a:81/", "192.0.2.1 81 connect"),
        ({"retrieved": 502, "address": "::1"}, "http://a/", "::1 80 status 502"),
        ({"retrieved": 404, "address": "::1"}, "http://a/", None),
        ({"retrieved": "502", "address": "::1"}, "http://a/", None),
        ({"reason": "text not found", "address": "::1"}, "http://a/", None),
        (FAILED, "http://a/", None),
        (FAILED | {"address": 7}, "http://a/", None),
        (FAILED | {"address": "::1"}, "http://[", "::1 0 connect"),
    ],
)
def test_address_counts_with_its_port_and_the_kind_of_failure(facts, url, address):
    assert traits(url, **facts).address == address


def test_agent_counts_with_the_kind_of_failure_and_certificate_with_its_end():
    assert traits(**FAILED).agent == "anna connect"
    assert traits(reason="text not found").agent is None
    assert traits(agent=None, **FAILED).agent is None
    assert traits(expires_at="2026-01-02T00:00:00+00:00").certificate is not None
    assert traits(expires_at=5).certificate is None


def leader(id_, *, began=0.0, **values):
    return Leader(id_, Traits(**values), NOW + began * MINUTE)


def newcomer(*, began=0.0, period=5, depends_on=(), **values):
    return Newcomer(
        Traits(**values), NOW + began * MINUTE, period * MINUTE, frozenset(depends_on)
    )


OTHER = {"website": "b", "address": "x"}


@pytest.mark.parametrize(
    ("new", "leaders", "expected"),
    [
        pytest.param(newcomer(website="a"), [], None, id="nobody is there"),
        pytest.param(newcomer(website="a"), [leader(1, **OTHER)], None, id="stranger"),
        pytest.param(
            newcomer(website="a", began=5),
            [leader(1, website="a")],
            (1, Cause.WEBSITE),
            id="same website",
        ),
        pytest.param(
            newcomer(website="a", began=6.1),
            [leader(1, website="a")],
            None,
            id="it was still fine after the other had begun",
        ),
        pytest.param(
            newcomer(website="a", address="x", began=1),
            [leader(1, began=0.5, **OTHER), leader(2, began=0, **OTHER)],
            (2, Cause.ADDRESS),
            id="the oldest of them",
        ),
        pytest.param(
            newcomer(website="a", certificate="c"),
            [leader(1, website="b", certificate="c")],
            (1, Cause.CERTIFICATE),
            id="same certificate",
        ),
        pytest.param(
            newcomer(website="a", depends_on=["b"], began=500),
            [leader(1, **OTHER)],
            (1, Cause.DEPENDENCY),
            id="what it depends on is down, for however long",
        ),
        pytest.param(
            newcomer(website="a", agent="anna dns"),
            [leader(n, website=str(n), agent="anna dns") for n in range(WEAK_COUNT)],
            (0, Cause.AGENT),
            id="many of one kind from one agent",
        ),
        pytest.param(
            newcomer(website="a", agent="anna dns"),
            [
                leader(n, website=str(n), agent="anna dns")
                for n in range(WEAK_COUNT - 1)
            ],
            None,
            id="some of one kind from one agent are chance",
        ),
        pytest.param(newcomer(), [leader(1)], None, id="what is unknown is not shared"),
    ],
)
def test_leader_of_a_new_incident(new, leaders, expected):
    found = find_leader(new, Leaders(leaders))

    assert (found and (found[0].id, found[1])) == expected


def test_a_period_and_a_slack_are_what_websites_may_be_apart():
    assert newcomer(began=0, period=5).earliest == NOW - 5 * MINUTE - SLACK
    assert hold_interval(MINUTE) == MINUTE + HOLD_MARGIN
    assert hold_interval(timedelta(days=1)) == LONGEST_HOLD + HOLD_MARGIN


@pytest.mark.parametrize(
    ("depends_on", "cycle"),
    [
        ({}, None),
        ({"a": ["b", "c"], "b": ["c"]}, None),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, ["a", "b", "c", "a"]),
        ({"a": ["b"], "b": ["c", "d"], "d": ["b"]}, ["b", "d", "b"]),
    ],
)
def test_cycles(depends_on, cycle):
    assert find_cycle(depends_on) == cycle


names = st.sampled_from("abcdef")


@given(st.dictionaries(names, st.lists(names, max_size=3)))
def test_a_cycle_is_one(depends_on):
    cycle = find_cycle(depends_on)

    if cycle is None:
        order: list[str] = []
        left = {name: {*parents} for name, parents in depends_on.items()}
        while left:
            free = [name for name, on in left.items() if not on & left.keys()]
            assert free, "what is left depends on itself"
            order += free
            left = {name: on for name, on in left.items() if name not in free}
    else:
        assert cycle[0] == cycle[-1]
        steps = pairwise(cycle)
        assert all(after in depends_on[before] for before, after in steps)


@pytest.mark.parametrize(
    ("cause", "traits", "expected"),
    [
        (Cause.WEBSITE, {"website": "https://a.example/"}, ("https://a.example/", None)),
        (Cause.DEPENDENCY, {"website": "https://b.example/"}, ("https://b.example/", None)),
        (Cause.DEPENDENCY, {}, (None, None)),
        (Cause.CERTIFICATE, {"certificate": "2026-04-01T00:00:00"}, ("2026-04-01T00:00:00", None)),
        (Cause.ADDRESS, {"address": "192.0.2.1 443 connect"}, ("192.0.2.1", "connect")),
        (Cause.ADDRESS, {"address": "2001:db8::1 80 status 502"}, ("2001:db8::1", "status 502")),
        (Cause.ADDRESS, {}, (None, None)),
        (Cause.AGENT, {"agent": "anna timeout"}, ("anna", "timeout")),
        (Cause.AGENT, {"agent": "anna of Lyon status 503"}, ("anna of Lyon", "status 503")),
        (Cause.AGENT, {"agent": "?"}, (None, None)),
    ],
)  # fmt: skip
def test_a_cause_has_a_name(cause, traits, expected):
    common = common_of(cause, Traits(**traits))

    assert (common.cause, common.name, common.failure) == (cause, *expected)
