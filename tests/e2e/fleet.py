"""A hundred websites of one nginx, as they are in life: fine, slow, moved, broken."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.e2e.nginx import Host, Nginx
from tests.e2e.programs import free_port
from tests.e2e.trust import Trust
from tests.e2e.zoo import Habit, Zoo

COUNT = 100
OK, WARNING, CRITICAL = "ok", "warning", "critical"

_PAGE = 'return 200 "Welcome to {address}";'
_SLOW_BYTES = 6 * 1024

_UPSTREAMS = {
    "127.0.2.1": Habit.RESET,
    "127.0.2.2": Habit.EMPTY,
    "127.0.2.3": Habit.GARBAGE,
}

Checks = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Website:
    """A virtual host, what is asked of it, and what the answers deserve."""

    host: Host
    checks: Checks
    severities: frozenset[str]


Maker = Callable[[str], Website]
"""Makes the website at an address."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The websites, with the nginx that serves them."""

    nginx: Nginx
    trust: Trust
    websites: tuple[Website, ...]

    @property
    def expected(self) -> dict[str, set[str]]:
        """The severities of each website's tasks, by its host and port."""
        return {self.key(website): set(website.severities) for website in self.websites}

    def key(self, website: Website) -> str:
        """The website's name in the API and on the pages."""
        return f"{website.host.address}:{self.nginx.port}"

    def config(self) -> list[Mapping[str, Any]]:
        """The section `websites` of a config."""
        return [
            {
                "domain": self.nginx.url(website.host),
                "timeout": "2s",
                "paths": [{"path": "/", "checks": website.checks}],
            }
            for website in self.websites
        ]

    def spare(self, number: int) -> Website:
        """A website with one check, which is fine, for one test to break."""
        return self.websites[number]


@contextmanager
def run_fleet(binary: str, folder: Path) -> Iterator[Fleet]:
    """Start the hundred websites, and the bad upstreams of some of them."""
    folder.mkdir()
    trust = Trust(folder / "certificates")
    port = free_port()
    with Zoo(free_port(), _UPSTREAMS) as zoo:
        makers: list[Maker] = [
            *[_plain] * 60,
            *[_moved] * 5,
            *[_slow] * 5,
            *(_behind(zoo, habit) for habit in (Habit.RESET, Habit.EMPTY)),
            _garbled(zoo),
            *[_missing] * 2,
            *[_encrypted(trust)] * 20,
            *_bad_certificates(trust),
        ]
        websites = tuple(
            make(f"127.0.1.{number}") for number, make in enumerate(makers, start=1)
        )
        assert len(websites) == COUNT
        hosts = [website.host for website in websites]
        with Nginx(binary, folder / "nginx", hosts, port=port) as nginx:
            (folder / "nginx" / "slow.html").write_bytes(b"s" * _SLOW_BYTES)
            yield Fleet(nginx, trust, websites)


def _website(host: Host, checks: Checks, *severities: str) -> Website:
    return Website(host, checks, frozenset(severities))


def _plain(address: str) -> Website:
    host = Host(address, _PAGE.format(address=address))
    return _website(host, [{"body-contains": f"Welcome to {address}"}], OK)


def _moved(address: str) -> Website:
    host = Host(address, "return 301 https://elsewhere.example/;")
    checks: Checks = [
        {"status-in": [301, 308]},
        {"headers-have": {"location": "https://elsewhere.example/"}},
    ]
    return _website(host, checks, OK)


def _slow(address: str) -> Website:
    # The first bytes come at once, the last ones after a second.
    body = "root .; location / { limit_rate 4k; try_files /slow.html =404; }"
    return _website(Host(address, body), [{"body-like": f"^s{{{_SLOW_BYTES}}}$"}], OK)


def _behind(zoo: Zoo, habit: Habit) -> Maker:
    def make(address: str) -> Website:
        host = Host(address, f"location / {{ proxy_pass {zoo.url_of(habit)}; }}")
        return _website(host, [{"status-is": 200}, {"status-is": 502}], OK, CRITICAL)

    return make


def _garbled(zoo: Zoo) -> Maker:
    # nginx takes the garbage for an answer of HTTP/0.9, and hands it on as it came.
    def make(address: str) -> Website:
        body = f"location / {{ proxy_pass {zoo.url_of(Habit.GARBAGE)}; }}"
        return _website(Host(address, body), [{"status-is": 200}], CRITICAL)

    return make


def _missing(address: str) -> Website:
    host = Host(address, "return 404;")
    return _website(host, [{"status-is": 200}], CRITICAL)


def _encrypted(trust: Trust) -> Maker:
    def make(address: str) -> Website:
        host = Host(address, _PAGE.format(address=address), trust.good(address))
        checks: Checks = [
            {"status-is": 200},
            {"http-to-https": 301},
            {"ssl-certificate-expiration": "on-check"},
        ]
        return _website(host, checks, OK)

    return make


def _bad_certificates(trust: Trust) -> list[Maker]:
    checks: Checks = [{"status-is": 200}, {"ssl-certificate-expiration": "on-check"}]

    def expired(address: str) -> Website:
        pair = trust.good(address, ends_in=timedelta(days=-2))
        return _website(Host(address, "return 200;", pair), checks, CRITICAL)

    def wrong_host(address: str) -> Website:
        pair = trust.good("elsewhere.example")
        return _website(Host(address, "return 200;", pair), checks, CRITICAL)

    def untrusted(address: str) -> Website:
        pair = trust.untrusted(address)
        return _website(Host(address, "return 200;", pair), checks, CRITICAL)

    def ends_soon(address: str) -> Website:
        pair = trust.good(address, ends_in=timedelta(days=3))
        return _website(Host(address, "return 200;", pair), checks, OK, WARNING)

    return [expired, wrong_host, untrusted, ends_soon, ends_soon]
