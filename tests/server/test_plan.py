"""From config to wanted tasks, and from present to wanted."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from argos.core.probe import IPVersion
from argos.server.identity import Pool, group_key, task_group, task_key
from argos.server.plan import (
    TaskAttributes,
    WantedTask,
    host_of,
    is_mass_removal,
    wanted_tasks,
)
from argos.server.settings import read_config
from tests.server.plan_specification import Changes, PresentTask, apply, changes

HEAD = """
general:
  db: {url: "sqlite:////tmp/unused.db"}
  cookie_secret: secret-of-a-test
  frequency: "5m"
  recheck_delay: "30s"
  mail: {mailfrom: argos@example.org, addresses: [ada@example.org]}
  alerts: {ok: [], warning: [], critical: [], unknown: [], no_agent: []}
service: {secrets: [secret]}
ssl: {thresholds: []}
recurring_tasks:
  max_results_age: "1d"
  max_lock_seconds: 100
  time_without_agent: 5
websites:
"""


def plan(tmp_path: Path, websites: str):
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + websites)
    return wanted_tasks(read_config(path, environ={}).config)


def test_each_path_is_checked_over_both_ip_versions(tmp_path):
    wanted = plan(
        tmp_path,
        """
  - domain: "https://Example.org:8443/base"
    paths:
      - path: /a
        checks: [{status-is: 200}, {ssl-certificate-expiration: on-check}]
""",
    )

    seen = [
        (task.ip_version, task.check, task.url, task.attributes.domain)
        for task in wanted.tasks.values()
    ]
    url, domain = "https://example.org:8443/a", "https://example.org:8443/base"
    assert seen == [
        ("4", "status-is", url, domain),
        ("4", "ssl-certificate-expiration", url, domain),
        ("6", "status-is", url, domain),
        ("6", "ssl-certificate-expiration", url, domain),
    ]
    assert [group.pool for group in wanted.groups.values()] == [Pool.ANYONE, Pool.IPV6]
    assert wanted.websites[domain].host == "example.org:8443"


def test_http_to_https_is_a_probe_of_its_own(tmp_path):
    wanted = plan(
        tmp_path,
        """
  - domain: "https://example.org"
    ipv6: false
    paths:
      - {path: /, checks: [{status-is: 200}, {http-to-https: true}]}
""",
    )

    groups = {task.attributes.group_key for task in wanted.tasks.values()}
    assert groups == set(wanted.groups)
    assert len(groups) == 2
    assert len({task.task_group for task in wanted.tasks.values()}) == 1


def test_a_new_check_needs_an_agent_that_knows_it(tmp_path):
    wanted = plan(
        tmp_path,
        """
  - domain: "https://example.org"
    ipv4: false
    paths:
      - {path: /, checks: [{status-is: 200}, {response-time: 500}]}
""",
    )

    assert [group.pool for group in wanted.groups.values()] == [
        Pool.IPV6 | Pool.NEW_CHECKS
    ]


def test_of_identical_tasks_the_first_wins(tmp_path):
    wanted = plan(
        tmp_path,
        """
  - domain: "https://example.org"
    ipv6: false
    frequency: "1m"
    paths: [{path: /, checks: [{status-is: 200}]}]
  - domain: "https://example.org/"
    ipv6: false
    frequency: "10s"
    paths: [{path: /, checks: [{status-is: 200}, {body-contains: hello}]}]
""",
    )

    frequencies = {
        task.check: task.attributes.frequency for task in wanted.tasks.values()
    }
    assert frequencies == {"status-is": 1.0, "body-contains": 0.17}
    assert [group.frequency for group in wanted.groups.values()] == [0.17]


@pytest.mark.parametrize(
    ("lines", "added", "overwritten"),
    [
        pytest.param("", None, None, id="none"),
        pytest.param(
            "add_alerts_recipients: [local, mail, gotify]",
            '["local", "mail"]',
            None,
            id="what is not configured is left out, local stays",
        ),
        pytest.param(
            "overwrite_alerts_recipients: []", None, "[]", id="an empty list mutes"
        ),
    ],
)
def test_recipients(tmp_path, lines, added, overwritten):
    wanted = plan(
        tmp_path,
        f"""
  - domain: "https://example.org"
    ipv6: false
    {lines}
    paths: [{{path: /, checks: [{{status-is: 200}}]}}]
""",
    )

    (task,) = wanted.tasks.values()
    assert task.attributes.add_alerts_recipients == added
    assert task.attributes.overwrite_alerts_recipients == overwritten


def test_general_settings_are_inherited_unless_overridden(tmp_path):
    wanted = plan(
        tmp_path,
        """
  - domain: "https://a.example"
    ipv6: false
    paths: [{path: /, checks: [{status-is: 200}]}]
  - domain: "https://b.example"
    ipv6: false
    frequency: "1h"
    recheck_delay: "1m"
    retry_before_notification: 3
    timeout: "5s"
    paths: [{path: /, checks: [{status-is: 200}]}]
""",
    )

    attributes = [task.attributes for task in wanted.tasks.values()]
    assert [
        (each.frequency, each.recheck_delay, each.retry_before_notification)
        for each in attributes
    ] == [(5.0, 0.5, 0), (60.0, 1.0, 3)]
    assert [group.timeout_s for group in wanted.groups.values()] == [30.0, 5.0]


def test_a_password_in_a_domain_is_no_part_of_the_host():
    assert host_of("https://ada:secret@example.org:8443/x") == "example.org:8443"


def test_the_task_group_is_what_agents_of_0_10_3_know():
    text = task_group(
        url="https://example.org/", method="GET", request_data=None, ip_version="4"
    )

    assert text == "GET-4-https://example.org/-d41d8cd98f00b204e9800998ecf8427e"


def test_keys_tell_nothing_and_an_empty_text_apart():
    request: dict[str, Any] = {
        "probe_url": "https://a.example/",
        "method": "POST",
        "ip_version": "4",
    }

    assert group_key(request_data=None, **request) != group_key(
        request_data="", **request
    )


texts = st.sampled_from(["a", "b", "ab", "", "a,b", '"'])


@given(st.lists(texts, min_size=5, max_size=5), st.lists(texts, min_size=5, max_size=5))
def test_different_identities_have_different_keys(one, other):
    names = ("url", "request_data", "check", "expected", "ip_version")
    keys = [
        task_key(method="GET", **dict(zip(names, each, strict=True)))
        for each in (one, other)
    ]

    assert (keys[0] == keys[1]) == (one == other)


def make_wanted(number: int, frequency: float = 1.0) -> WantedTask:
    attributes = TaskAttributes(
        "https://a.example/",
        frequency,
        None,
        0,
        0,
        True,
        None,
        None,
        None,
        None,
        None,
        b"g",
    )
    return WantedTask(
        key=b"%d" % number,
        url="https://a.example/",
        method="GET",
        request_data=None,
        check="status-is",
        expected=str(number),
        ip_version=IPVersion.V4,
        task_group="",
        attributes=attributes,
    )


wanted_sets = st.dictionaries(
    st.integers(0, 20), st.sampled_from([1.0, 5.0]), max_size=20
).map(
    lambda chosen: {
        task.key: task for task in map(make_wanted, chosen, chosen.values())
    }
)
present_sets = st.dictionaries(
    st.integers(0, 20),
    st.tuples(st.booleans(), st.sampled_from([1.0, 5.0])),
    max_size=20,
).map(
    lambda chosen: {
        b"%d" % number: PresentTask(
            number, archived, make_wanted(number, frequency).attributes
        )
        for number, (archived, frequency) in chosen.items()
    }
)


@given(present_sets, wanted_sets)
def test_changes_lead_to_what_is_wanted_and_then_to_nothing(present, wanted):
    after = apply(present, changes(present, wanted))

    active = {
        key: task.attributes for key, task in after.items() if not task.is_archived
    }
    assert active == {key: task.attributes for key, task in wanted.items()}
    assert changes(after, wanted) == Changes([], [], [], [])


@pytest.mark.parametrize(
    ("removed", "present", "expected"),
    [(10, 10, False), (11, 11, True), (11, 54, True), (11, 55, False), (0, 0, False)],
)
def test_i52_more_than_ten_and_more_than_a_fifth_is_a_mass_removal(
    removed, present, expected
):
    assert is_mass_removal(removed, present) is expected


TWO_WAYS = """
  - domain: "https://example.org"
    ipv6: false
    http_version: auto
    auth: {bearer: canary}
    paths:
      - path: /
        checks: [{status-is: 200}, {http-to-https: true}]
      - path: /
        auth: none
        http_version: 1.1
        checks: [{status-is: 200}]
"""


def test_paths_that_differ_by_their_options_are_two_tasks_and_groups(tmp_path):
    wanted = plan(tmp_path, TWO_WAYS)

    seen = [
        (task.check, json.loads(group.options or "null"), group.pool)
        for task in wanted.tasks.values()
        for group in [wanted.groups[task.attributes.group_key]]
    ]
    options = {"http_version": "auto", "auth": {"bearer": "canary"}}
    assert seen == [
        ("status-is", options, Pool.NEW_CHECKS),
        ("http-to-https", None, Pool.ANYONE),
        ("status-is", None, Pool.ANYONE),
    ]


def test_options_leave_the_key_of_a_task_alone_but_not_that_of_its_group(tmp_path):
    without = plan(tmp_path, TWO_WAYS.replace("auth: {bearer: canary}", "auth: none"))
    plain = TWO_WAYS.replace("    auth: {bearer: canary}\n    paths", "    paths")
    plain = plain.replace("    http_version: auto\n", "")
    usual = plan(tmp_path, plain)

    assert list(usual.tasks) == list(without.tasks)[:2]
    (first, *_) = without.tasks.values()
    key = group_key(
        probe_url=first.url, method="GET", request_data=None, ip_version="4"
    )
    assert key in usual.groups
    assert first.attributes.group_key != key


def test_each_location_has_its_own_tasks_and_probes_that_vote_together(tmp_path):
    wanted = plan(
        tmp_path,
        """
  - domain: "https://example.org"
    ipv6: false
    locations: [oslo, paris, tokyo]
    paths: [{path: /, checks: [{status-is: 200}, {body-contains: hello}]}]
""",
    )

    tasks = list(wanted.tasks.values())
    assert sorted((task.check, str(task.attributes.location)) for task in tasks) == [
        (check, place)
        for check in ("body-contains", "status-is")
        for place in ("oslo", "paris", "tokyo")
    ]
    assert len({task.attributes.watch_key for task in tasks}) == 2
    assert {task.attributes.quorum for task in tasks} == {2}
    groups = list(wanted.groups.values())
    assert sorted(str(group.location) for group in groups) == ["oslo", "paris", "tokyo"]
    assert len({group.pool for group in groups}) == 3
    assert all(group.pool & Pool.NEW_CHECKS for group in groups)


LOCATIONS = [
    ("", "", {(None, None)}),
    ("locations: [oslo, paris]", "", {("oslo", 2), ("paris", 2)}),
    ("locations: [oslo, paris]", "locations: []", {(None, None)}),
    ("locations: [oslo, paris]", "quorum: 1", {("oslo", 1), ("paris", 1)}),
    (
        "{locations: [oslo, paris, rome], quorum: 3}",
        "locations: [paris]",
        {("paris", 1)},
    ),
]


@pytest.mark.parametrize(("general", "own", "places"), LOCATIONS)
def test_locations_and_their_quorum_are_inherited(tmp_path, general, own, places):
    path = tmp_path / "config.yaml"
    lines = general.strip("{}").replace(", quorum", "\n  quorum")
    head = HEAD.replace('  frequency: "5m"', f'  frequency: "5m"\n  {lines}')
    website = f"""
  - domain: "https://example.org"
    ipv6: false
    {own}
    paths: [{{path: /, checks: [{{status-is: 200}}]}}]
"""
    path.write_text(head + website)

    tasks = wanted_tasks(read_config(path, environ={}).config).tasks.values()

    assert {(t.attributes.location, t.attributes.quorum) for t in tasks} == places
