"""Proxies of both kinds: what goes by them, and what their refusals mean."""

import asyncio
import base64
import socket
import struct
from contextlib import suppress
from dataclasses import replace

import pytest

from argos.agent.engine.address import Policy
from argos.core.options import NO_PROXY, HTTPVersion, ProbeOptions
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.name_server import Zone
from tests.agent.engine.servers import answering, read_request
from tests.agent.engine.zoo.behaviours import silent
from tests.agent.engine.zoo.member import SHORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "canary-7f3a"
BAD_GATEWAY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


async def relay(reader, writer, host: str, port: int) -> None:
    inner, outer = await asyncio.open_connection(host, port)

    async def copy(source, sink):
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    await asyncio.gather(copy(reader, outer), copy(inner, writer))


class HTTPProxy:
    """Knows where every name leads: to this machine. Remembers what it was told."""

    def __init__(self, servers, refusal: bytes = b"") -> None:
        self.heads: list[str] = []
        self._refusal = refusal
        self.port = servers.serve(self.behave)

    async def behave(self, reader, writer):
        head = (await read_request(reader)).decode()
        self.heads.append(head)
        if self._refusal:
            writer.write(self._refusal)
            await writer.drain()
            return
        method, target, _ = head.split(" ", 2)
        if method != "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy")
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
        await relay(reader, writer, "127.0.0.1", int(target.rpartition(":")[2]))


class SOCKSProxy:
    """The same as a SOCKS5 server; a code other than 0 refuses."""

    def __init__(self, servers, code: int = 0, *, wants_login: bool = False) -> None:
        self.names: list[str] = []
        self.logins: list[bytes] = []
        self._code = code
        self._wants_login = wants_login
        self.port = servers.serve(self.behave)

    async def behave(self, reader, writer):
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x02" if self._wants_login else b"\x05\x00")
        if self._wants_login:
            _, length = await reader.readexactly(2)
            name = await reader.readexactly(length)
            (length,) = await reader.readexactly(1)
            self.logins.append(name + b":" + await reader.readexactly(length))
            writer.write(b"\x01\x00")
        _, _, _, kind = await reader.readexactly(4)
        assert kind == 3, "the name itself: the proxy looks it up"
        (length,) = await reader.readexactly(1)
        self.names.append((await reader.readexactly(length)).decode())
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        writer.write(bytes([5, self._code, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self._code == 0:
            await relay(reader, writer, "127.0.0.1", port)


def by(proxy: str, url: str, **more) -> Probe:
    return Probe(url, options=ProbeOptions(proxy=proxy, **more))


async def test_https_goes_through_a_tunnel_and_keeps_its_secrets(
    curl_engine, servers, healthy_ports
):
    proxy = HTTPProxy(servers)
    url = f"https://localhost:{healthy_ports['https']}/"
    way = f"http://ada:{SECRET}@127.0.0.1:{proxy.port}"

    outcome = await curl_engine.probe(by(way, url, authorization="Bearer for-site"))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.body == b"ok"
    assert [name for name, _ in outcome.headers] == ["content-length"]
    assert outcome.certificate is not None
    (head,) = proxy.heads
    login = base64.b64encode(f"ada:{SECRET}".encode()).decode()
    assert head.startswith(f"CONNECT localhost:{healthy_ports['https']} ")
    assert f"Proxy-Authorization: Basic {login}" in head
    assert "for-site" not in head


async def test_plain_http_is_asked_of_the_proxy(curl_engine, servers):
    proxy = HTTPProxy(servers)

    outcome = await curl_engine.probe(
        by(f"http://127.0.0.1:{proxy.port}", "http://nowhere.example/x")
    )

    assert isinstance(outcome, ProbeResponse)
    assert outcome.body == b"proxy"
    assert proxy.heads[0].startswith("GET http://nowhere.example/x ")


async def test_socks_looks_names_up_itself(curl_engine, servers, healthy_ports):
    proxy = SOCKSProxy(servers, wants_login=True)
    url = f"http://only-there.example:{healthy_ports['http']}/"
    way = f"socks5h://ada:{SECRET}@127.0.0.1:{proxy.port}"

    outcome = await curl_engine.probe(by(way, url))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.body == b"ok"
    assert proxy.names == ["only-there.example"]
    assert proxy.logins == [f"ada:{SECRET}".encode()]


async def test_the_name_of_a_proxy_is_looked_up(
    curl_engine, servers, name_server, healthy_ports
):
    proxy = HTTPProxy(servers)
    name_server.zones["proxy.example"] = Zone(("127.0.0.1",))
    url = f"https://localhost:{healthy_ports['https']}/"

    found = await curl_engine.probe(by(f"http://proxy.example:{proxy.port}", url))
    lost = await curl_engine.probe(by(f"http://no-proxy.example:{proxy.port}", url))

    assert isinstance(found, ProbeResponse)
    assert isinstance(lost, ProbeFailure)
    assert lost.kind is FailureKind.INTERNAL
    assert lost.message == (
        "The proxy cannot be found: The name no-proxy.example does not exist."
    )


async def test_a_proxy_that_is_down_says_nothing_of_the_website(curl_engine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for scheme in ("http", "socks5h"):
            way = f"{scheme}://ada:{SECRET}@127.0.0.1:{port}"

            outcome = await curl_engine.probe(by(way, "https://example.invalid/"))

            assert isinstance(outcome, ProbeFailure)
            assert outcome.kind is FailureKind.INTERNAL
            assert outcome.message == (
                f"The proxy 127.0.0.1 port {port} could not be reached:"
                " Connection refused."
            )


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", FailureKind.INTERNAL, "would not let us"),
        (b"HTTP/1.1 407 No\r\n\r\n", FailureKind.INTERNAL, "would not let us"),
        (BAD_GATEWAY, FailureKind.CONNECT, "could not reach the website"),
        (b"SSH-2.0\r\n\r\n", FailureKind.INTERNAL, "would not let us"),
        (
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000,
            FailureKind.INTERNAL,
            "would not let us",
        ),
    ],
)
async def test_what_an_http_proxy_says_of_the_website_is_told_apart(
    curl_engine, servers, answer, kind, words
):
    proxy = HTTPProxy(servers, answer)

    outcome = await curl_engine.probe(
        by(f"http://127.0.0.1:{proxy.port}", "https://example.invalid/")
    )

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is kind
    assert words in outcome.message


async def test_a_proxy_that_wants_a_login_says_nothing_of_the_website(
    curl_engine, servers
):
    demand = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
    proxy = servers.serve(answering(demand))

    outcome = await curl_engine.probe(
        by(f"http://127.0.0.1:{proxy}", "http://example.invalid/")
    )

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert outcome.message.endswith("would not let us through: it wants a login.")


async def test_a_proxy_that_never_answers_is_told_from_a_slow_handshake(
    curl_engine, servers
):
    proxy = servers.serve(silent)
    way = by(f"http://127.0.0.1:{proxy}", "https://example.invalid/")

    outcome = await curl_engine.probe(replace(way, timeout=SHORT))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.TIMEOUT
    assert outcome.message == (
        f"The proxy 127.0.0.1 port {proxy} opened no way to the website within 0.5 s."
    )


@pytest.mark.parametrize(
    ("code", "kind"), [(5, FailureKind.CONNECT), (2, FailureKind.INTERNAL)]
)
async def test_what_a_socks_proxy_says_of_the_website_is_told_apart(
    curl_engine, servers, code, kind
):
    proxy = SOCKSProxy(servers, code)

    outcome = await curl_engine.probe(
        by(f"socks5h://127.0.0.1:{proxy.port}", "https://example.invalid/")
    )

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is kind


async def test_an_agent_has_a_proxy_for_all_that_do_not_say_otherwise(
    make_curl_engine, servers, healthy_ports
):
    proxy = HTTPProxy(servers)
    # Nobody but the agent's administrator may name a proxy in a denied network.
    policy = Policy.from_texts(deny=["127.0.0.0/8"])
    engine = await make_curl_engine(
        proxy=f"http://127.0.0.1:{proxy.port}", policy=policy
    )
    url = f"https://localhost:{healthy_ports['https']}/"

    by_proxy = await engine.probe(Probe(url))
    directly = await engine.probe(by(NO_PROXY, url))
    named = await engine.probe(by(f"http://127.0.0.1:{proxy.port}", url))
    metadata = await engine.probe(Probe("http://169.254.169.254/"))

    assert isinstance(by_proxy, ProbeResponse)
    for outcome in (directly, named, metadata):
        assert isinstance(outcome, ProbeFailure)
        assert outcome.kind is FailureKind.REFUSED
    assert len(proxy.heads) == 1


async def test_the_fallback_refuses_proxies(httpx_engine):
    outcome = await httpx_engine.probe(by("http://127.0.0.1:1", "http://127.0.0.1/"))

    assert isinstance(outcome, ProbeFailure)
    assert "cannot serve the probe option proxy" in outcome.message


async def test_all_addresses_and_a_proxy_do_not_go_together(curl_engine):
    outcome = await curl_engine.probe(
        by("http://127.0.0.1:1", "http://127.0.0.1/", all_addresses=True)
    )

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert "all_addresses and proxy do not go together" in outcome.message


async def test_http_3_does_not_go_by_a_proxy_and_that_is_told(
    curl_engine, servers, healthy_ports
):
    proxy = HTTPProxy(servers)
    url = f"https://localhost:{healthy_ports['https']}/"

    outcome = await curl_engine.probe(
        by(f"http://127.0.0.1:{proxy.port}", url, http_version=HTTPVersion.V3)
    )

    if isinstance(outcome, ProbeResponse):
        assert outcome.http_version == "1.1"
    else:
        assert outcome.kind is FailureKind.INTERNAL
