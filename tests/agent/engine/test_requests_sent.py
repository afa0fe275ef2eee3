"""What a website sees of a probe, from either engine."""

import asyncio
import json
import os

import pytest

from argos import VERSION
from argos.agent.engine.curl_engine import CurlEngine
from argos.core.probe import FailureKind, IPVersion, Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.name_server import Zone
from tests.agent.engine.servers import ServerThread

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what was asked, as JSON."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.rstrip("\r\n").split("\r\n")
    headers = [[part.strip() for part in field.split(":", 1)] for field in fields]
    length = int(
        {name.lower(): value for name, value in headers}.get("content-length", 0)
    )
    body = (await reader.readexactly(length)).decode("latin-1")
    answer = json.dumps({"line": line, "headers": headers, "body": body}).encode()
    writer.write(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: seen=1\r\nContent-Length: %d\r\n\r\n"
        % len(answer)
        + answer
    )
    await writer.drain()


@pytest.fixture(scope="session")
def echo_port(servers: ServerThread) -> int:
    return servers.serve(echo)


@pytest.fixture
def send(engine, echo_port):
    async def send(path: str = "/", **more):
        outcome = await engine.probe(
            Probe(f"http://localhost:{echo_port}{path}", **more)
        )
        assert isinstance(outcome, ProbeResponse), outcome
        return json.loads(outcome.body)

    return send


def values(seen, name: str) -> list[str]:
    return [value for key, value in seen["headers"] if key.lower() == name]


async def test_plain_request_has_these_headers_and_no_others(send, echo_port):
    seen = await send()

    assert seen["line"] == "GET / HTTP/1.1"
    assert sorted(map(tuple, seen["headers"])) == [
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, deflate"),
        ("Connection", "close"),
        ("Host", f"localhost:{echo_port}"),
        ("User-Agent", f"Argos Panoptes {VERSION} (website monitor)"),
    ]


async def test_path_and_query_arrive_as_written(send):
    seen = await send("/a%20b/ü?q=1 2&r=[x]")

    assert seen["line"] == "GET /a%20b/%C3%BC?q=1%202&r=[x] HTTP/1.1"


async def test_headers_of_the_probe_are_sent_and_replace_ours(send):
    headers = {"X-A": "b", "user-agent": "mine", "Host": "virtual.example", "X-B": ""}

    seen = await send(headers=headers)

    assert values(seen, "x-a") == ["b"]
    assert values(seen, "user-agent") == ["mine"]
    assert values(seen, "host") == ["virtual.example"]
    assert values(seen, "x-b") == [""]


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
)
async def test_each_method_is_sent_without_data(send, method):
    seen = await send(method=method)

    assert seen["line"] == f"{method} / HTTP/1.1"
    has_length = method in {"POST", "PUT", "PATCH"}
    assert values(seen, "content-length") == (["0"] if has_length else [])
    assert values(seen, "content-type") == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_each_method_is_sent_with_data(send, method):
    data = b"a=1&b=\x00\xff"

    seen = await send(method=method, body=data, headers={"Content-Type": "x/y"})

    assert seen["line"] == f"{method} / HTTP/1.1"
    assert seen["body"].encode("latin-1") == data
    assert values(seen, "content-length") == [str(len(data))]
    assert values(seen, "content-type") == ["x/y"]


async def test_data_is_not_called_a_form_unasked(send):
    seen = await send(method="POST", body=b"x")

    assert values(seen, "content-type") == []


async def test_much_data_is_sent_without_asking_first(send):
    seen = await send(method="POST", body=b"x" * 1_500_000)

    assert len(seen["body"]) == 1_500_000
    assert values(seen, "expect") == []


async def test_head_takes_no_body(engine, echo_port):
    probe = Probe(f"http://localhost:{echo_port}/", method="HEAD")

    outcome = await engine.probe(probe)

    assert isinstance(outcome, ProbeResponse)
    assert outcome.body == b""
    assert ("set-cookie", "seen=1") in outcome.headers


async def test_cookie_of_one_probe_is_not_sent_with_the_next(send):
    await send()

    assert values(await send(), "cookie") == []


async def test_user_and_password_of_the_url_are_sent_as_a_header(engine, echo_port):
    outcome = await engine.probe(Probe(f"http://user:pass@localhost:{echo_port}/"))

    assert isinstance(outcome, ProbeResponse)
    assert values(json.loads(outcome.body), "authorization") == ["Basic dXNlcjpwYXNz"]


async def test_headers_of_one_probe_do_not_stay_for_the_next(send):
    await send(method="POST", body=b"x", headers={"X-Secret": "1"})

    seen = await send()

    assert seen["line"] == "GET / HTTP/1.1"
    assert values(seen, "x-secret") == []
    assert seen["body"] == ""


async def test_websites_name_and_port_are_kept_when_its_address_is_used(
    curl_engine, name_server, echo_port
):
    name_server.zones["named.example"] = Zone(("127.0.0.1",))

    outcome = await curl_engine.probe(Probe(f"http://named.example:{echo_port}/"))

    assert isinstance(outcome, ProbeResponse)
    seen = json.loads(outcome.body)
    assert values(seen, "host") == [f"named.example:{echo_port}"]


async def test_environments_proxies_are_not_used(settings, echo_port):
    proxy = "http://127.0.0.1:9"
    environment = {
        **os.environ,
        "http_proxy": proxy,
        "HTTPS_PROXY": proxy,
        "ALL_PROXY": proxy,
    }
    engine = CurlEngine(settings, environment=environment)
    await engine.start()

    outcome = await engine.probe(Probe(f"http://localhost:{echo_port}/"))

    await engine.close()
    assert isinstance(outcome, ProbeResponse)


@pytest.mark.parametrize(
    "probe",
    [
        Probe("http://localhost/", headers={"X": "a\r\nb"}),
        Probe("http://localhost/", method="CONNECT"),
        Probe("gopher://localhost/"),
        Probe("http://169.254.169.254/latest/meta-data/"),
        Probe("http://[::ffff:169.254.169.254]/", ip_version=IPVersion.V6),
        Probe("http://0x7f000001/"),
    ],
    ids=["header", "method", "scheme", "metadata", "mapped metadata", "odd number"],
)
async def test_probe_that_is_refused_costs_the_others_nothing(engine, probe, echo_port):
    refused, other = await asyncio.gather(
        engine.probe(probe), engine.probe(Probe(f"http://localhost:{echo_port}/"))
    )

    assert isinstance(refused, ProbeFailure)
    assert refused.kind is FailureKind.REFUSED
    assert isinstance(other, ProbeResponse)


async def test_redirect_is_shown_and_not_followed(engine, servers):
    visited = []

    async def trap(reader, writer):
        visited.append(await reader.read(100))

    trap_port = servers.serve(trap)

    async def redirect(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n"
            b"Location: http://127.0.0.1:%d/\r\n\r\n" % trap_port
        )
        await writer.drain()

    outcome = await engine.probe(Probe(f"http://localhost:{servers.serve(redirect)}/"))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.status_code == 302
    assert ("location", f"http://127.0.0.1:{trap_port}/") in outcome.headers
    assert visited == []
