"""`argos agent`: its options, and a real agent process."""

import asyncio
import json
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

import click
import pytest

from argos.commands.agent import (
    _make_settings,
    _Wishes,
    default_spool_folder,
)
from argos.commands.arguments import check_server_url
from tests.agent.scripted_server import Reply, Request, scripted_server
from tests.commands.conftest import Run, Start, read_until

URL = "https://argos.example.org"


def wishes(**changes: Any) -> _Wishes:
    defaults: dict[str, Any] = {
        "server_url": URL,
        "auth": "token",
        "token_file": None,
        "slots": 100,
        "wait_time": 10.0,
        "workers": None,
        "cpu_budget": 50.0,
        "log_level": "info",
        "name": "",
        "user_agent": "",
        "location": "",
        "has_ipv6": None,
        "spool_dir": None,
        "ca_file": None,
        "probe_ca_file": None,
        "name_servers": (),
        "proxy": None,
        "outage_url": None,
        "outage_after": 10.0,
        "references": (),
        "public_only": False,
        "allow": (),
        "deny": (),
    }
    return _Wishes(**{**defaults, **changes})


# Options


@pytest.mark.parametrize("url", ["chat.example.org", "http://[::1/x", "ftp://a/b"])
def test_an_address_for_outages_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(click.UsageError, match="--outage-url must be a URL"):
        _make_settings(wishes(outage_url=url), {})


def test_an_address_for_outages_is_taken() -> None:
    settings = _make_settings(wishes(outage_url="https://c.example/x"), {})
    assert settings.outage is not None
    assert settings.outage.after_s == 600.0


def test_the_defaults_are_those_of_a_plain_agent() -> None:
    settings = _make_settings(wishes(), {})

    assert settings.client.url == URL
    assert settings.client.token == "token"
    assert settings.client.name == socket.gethostname()
    assert (settings.loop.slots, settings.loop.wait_s) == (100, 10.0)
    assert settings.spool_folder is None
    assert settings.has_ipv6 is None


def test_slots_are_shared_out_among_the_workers() -> None:
    settings = _make_settings(wishes(slots=100, workers=3), {})

    assert settings.loop.slots == 100
    under_way = settings.loop.most_under_way
    assert under_way is not None
    assert under_way >= 100
    assert (settings.engine.workers, settings.engine.slots) == (3, -(-under_way // 3))


def test_both_user_agents_carry_the_suffix() -> None:
    settings = _make_settings(wishes(user_agent="ours"), {})

    assert settings.client.user_agent_suffix == " - ours"
    assert settings.engine.user_agent.endswith(" - ours")


def test_the_token_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("  from-the-file\n")

    settings = _make_settings(wishes(auth=None, token_file=path), {})

    assert settings.client.token == "from-the-file"


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/a:/b", "HOME": "/h"}, "/a/spool"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/argos/agent"),
        ({"HOME": "/h"}, "/h/.local/state/argos/agent"),
        ({}, None),
    ],
    ids=["systemd", "xdg", "home", "nothing"],
)
def test_the_spool_has_a_place_by_itself(
    environ: dict[str, str], folder: str | None
) -> None:
    assert default_spool_folder(environ) == (Path(folder) if folder else None)


@pytest.mark.parametrize(
    "url",
    [
        *("argos.example.org", "ftp://x", "https://", "http://[", "", "/api"),
        *("http://a:99999", "http://a:0", "http://a:x"),
    ],
)
def test_what_is_no_url_of_a_server_is_a_usage_error(argos: Run, url: str) -> None:
    result = argos("agent", url, "token")

    assert result.exit_code == 2
    assert "it looks like https://argos.example.org" in result.stderr


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("https://argos.example.org", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
        ("http://localhost.example.org", True),
        ("http://127.example.org", True),
        ("http://argos.example.org", True),
        ("http://10.1.2.3", True),
    ],
)
def test_a_token_that_travels_in_the_clear_is_warned_of(
    url: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert check_server_url(url) == url

    assert ("unencrypted" in caplog.text) is warns


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["agent", URL], "There is no token"),
        (["agent", URL, " "], "There is no token"),
        (["agent", URL, "schlüssel"], "characters that no token has"),
        (["agent", URL, "t", "--slots", "0"], "--slots"),
        (["agent", URL, "t", "--max-tasks", "no"], "--slots"),
        (["agent", URL, "t", "--allow", "here"], "networks such as 10.0.0.0/8"),
        (["agent", URL, "--token-file", "/nowhere"], "/nowhere"),
        (["agent", URL, "t", "--log-level", "loud"], "loud"),
        (["agent", URL, "t", "--wait-time", "nan"], "is not a number"),
        (["agent", URL, "t", "--cpu-budget", "nan"], "is not a number"),
        (["agent", URL, "t", "--user-agent", "a\nb"], "--user-agent"),
        (["agent", URL, "t", "--ca-file", __file__], "--ca-file must be a PEM file"),
        (["agent", URL, "t", "--probe-ca-file", os.devnull], "--probe-ca-file"),
        (["agent"], "SERVER_URL"),
    ],
)
def test_what_is_missing_or_wrong_is_a_usage_error(
    argos: Run, arguments: list[str], words: str
) -> None:
    result = argos(*arguments)

    assert result.exit_code == 2
    assert words in result.stderr


def test_a_policy_is_made_of_networks() -> None:
    settings = _make_settings(wishes(allow=("10.0.0.0/8",), public_only=True), {})

    policy = settings.engine.policy
    assert policy.public_only
    assert [str(network) for network in policy.allow] == ["10.0.0.0/8"]


def test_networks_that_are_none_are_refused() -> None:
    with pytest.raises(click.UsageError, match=r"10\.0\.0\.0/8"):
        _make_settings(wishes(deny=("10.0.0.1/8",)), {})


# A real agent


TASK = {
    "id": 1,
    "domain": "http://127.0.0.1",
    "ip_version": "4",
    "check": "status-is",
    "method": "GET",
    "request_data": None,
    "expected": "200",
    "task_group": "g",
    "group_id": 5,
    "lease_no": 2,
    "leased_at": "2026-05-01T12:00:00Z",
    "timeout_s": 30.0,
}


class World:
    """A server for agents and a website at once, on one port."""

    def __init__(self) -> None:
        self.tasks = [TASK]
        self.website = 200
        self.reported = asyncio.Event()
        self.released = asyncio.Event()
        self.hanging = asyncio.Event()

    async def respond(self, request: Request) -> Reply:
        match request.path:
            case "/api/tasks":
                return await self._lease(request)
            case "/api/results":
                self.reported.set()
                return Reply(201, b'{"result_ids":[7]}')
            case "/api/tasks/release":
                self.released.set()
                return Reply(200, b'{"released":1}')
            case "/hang":
                self.hanging.set()
                await asyncio.Event().wait()
        return Reply(self.website, b"hello")

    async def _lease(self, request: Request) -> Reply:
        tasks, self.tasks = self.tasks, []
        if not tasks:
            await asyncio.sleep(float(request.query["wait"]))
        host = request.headers["host"]
        answer = [{"url": f"http://{host}/", **task} for task in tasks]
        return Reply(200, json.dumps(answer).encode())


async def test_an_agent_leases_probes_reports_and_stops(start: Start) -> None:
    world = World()
    async with scripted_server(world.respond) as server:
        agent = start("agent", server.url, "s3cret", "--name", "paris")
        await asyncio.wait_for(world.reported.wait(), 20)
        agent.send_signal(signal.SIGTERM)
        output, _ = await asyncio.to_thread(agent.communicate)

    [result] = server.of("/api/results")[0].json()
    assert (result["task_id"], result["status"]) == (1, "success")
    assert (result["lease_no"], result["leased_at"]) == (
        2,
        "2026-05-01T12:00:00+00:00",
    )
    assert result["elapsed_us"] > 0
    assert result["timings"]["total_us"] > 0
    first, *lines = output.splitlines()
    assert agent.returncode == 0
    assert first == "Starting argos agent. Will retry forever."
    assert f"INFO      Running agent against {server.url}" in lines
    assert "INFO      Received 1 tasks from the server" in lines
    assert 'INFO      Successfully posted results {"result_ids": [7]}' in lines
    assert "s3cret" not in output


async def test_a_stopped_agent_hands_back_what_it_has_not_done(start: Start) -> None:
    world = World()
    async with scripted_server(world.respond) as server:
        world.tasks = [{**TASK, "url": f"{server.url}/hang"}]
        agent = start("agent", server.url, "s3cret")
        await asyncio.wait_for(world.hanging.wait(), 20)
        agent.send_signal(signal.SIGINT)
        await asyncio.wait_for(world.released.wait(), 5)
        await asyncio.to_thread(agent.communicate)

    [release] = server.of("/api/tasks/release")
    assert release.json() == [{"group_id": 5, "lease_no": 2}]
    assert server.of("/api/results") == []
    assert agent.returncode == 0


async def test_a_second_signal_ends_an_agent_at_once(start: Start) -> None:
    world = World()
    async with scripted_server(world.respond) as server:
        world.tasks = [{**TASK, "url": f"{server.url}/hang"}]
        agent = start("agent", server.url, "s3cret")
        await asyncio.wait_for(world.hanging.wait(), 20)
        agent.send_signal(signal.SIGTERM)
        await asyncio.to_thread(read_until, agent, "a second signal stops at once")
        agent.send_signal(signal.SIGTERM)
        await asyncio.to_thread(agent.communicate)

    assert agent.returncode == 128 + signal.SIGTERM


async def test_a_refused_token_is_one_clear_line_and_no_end(start: Start) -> None:
    async with scripted_server(
        lambda request: Reply(401, b'{"detail":"Unauthorized"}')
    ) as server:
        agent = start("agent", server.url, "wrong-token")
        lines = await asyncio.to_thread(read_until, agent, "Waiting")
        assert agent.poll() is None

    [line] = [line for line in lines if line.startswith("ERROR")]
    assert f"{server.url} does not accept this agent's token" in line
    assert "wrong-token" not in line


async def test_results_survive_the_death_of_agent_and_server(
    start: Start, tmp_path: Path
) -> None:
    world = World()
    spool = ("--spool-dir", tmp_path / "spool")
    down = asyncio.Event()

    async def failing(request: Request) -> Reply:
        if request.path != "/api/results":
            return await world.respond(request)
        down.set()
        return Reply(502, b"Bad Gateway", {})

    async with scripted_server(failing) as server:
        agent = start("agent", server.url, "s3cret", *spool)
        await asyncio.to_thread(read_until, agent, "Waiting")
        await asyncio.wait_for(down.wait(), 20)
        agent.kill()
        await asyncio.to_thread(agent.communicate)

        server.respond = world.respond
        agent = start("agent", server.url, "s3cret", *spool)
        await asyncio.wait_for(world.reported.wait(), 20)

    [result] = server.of("/api/results")[-1].json()
    assert (result["task_id"], result["lease_no"]) == (1, 2)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--proxy", "https://ada:canary@a:1", "--proxy must begin with http://"),
        ("--proxy", "http://ada:canary@a", "--proxy must be a host and a port"),
        ("--name-server", "dns.example", "--name-server must be an address"),
    ],
)
def test_proxies_and_name_servers_that_are_none_are_refused(
    argos, option, value, words
) -> None:
    result = argos("agent", "http://127.0.0.1:9", "a-token", option, value)

    assert result.exit_code == 2
    assert words in result.stderr
    assert "canary" not in result.stderr


@pytest.mark.parametrize("url", ["gateway.example.org", "http://[::1/x", "tcp://a:1"])
def test_a_reference_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(click.UsageError, match="--reference must be a URL"):
        _make_settings(wishes(references=("https://a.example.org", url)), {})
