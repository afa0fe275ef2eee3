"""Every check that 0.10.3 knows, with a website for each thing that it may find."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from argos.checks import get_registered_checks
from tests.e2e.nginx import Host, Nginx
from tests.e2e.programs import free_port, has_ipv6_loopback
from tests.e2e.trust import Trust

DOCUMENT = {
    "maintenance": False,
    "productname": "Nextcloud",
    "versionstring": "29.0.1",
    "list": [1, {"deep": None}],
}
_JSON_BODY = f"""
  default_type "application/json; charset=utf-8";
  add_header X-Test "one, two" always;
  return 200 '{json.dumps(DOCUMENT)}';
"""
_TEXT_BODY = """
  default_type "text/plain; charset=utf-8";
  return 200 "Grüße, welcome to version 12";
"""

OK, WARNING, CRITICAL, UNKNOWN = "ok", "warning", "critical", "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """A check at a website, and the severity that it deserves."""

    check: str
    value: Any
    severity: str
    old_agent: str | None = None
    """The severity by an agent of 0.10.3, where that sees it otherwise."""
    old_server: str | None = None
    """The severity by a server of 0.10.3, where that sees it otherwise."""


_JSON_ROWS = [
    Row("status-is", 200, OK),
    Row("status-is", 201, CRITICAL),
    Row("status-in", [200, 302], OK),
    Row("status-in", [404], CRITICAL),
    Row("headers-contain", ["content-type", "X-Test"], OK),
    Row("headers-contain", ["x-absent"], CRITICAL),
    Row("headers-have", {"X-Test": "one, two"}, OK),
    Row("headers-have", {"x-test": "one"}, CRITICAL),
    Row("headers-like", {"content-type": "^application/(json|xml)"}, OK),
    Row("headers-like", {"content-type": "html"}, CRITICAL),
    Row("json-contains", ["/maintenance", "/list/1/deep"], OK),
    Row("json-contains", ["/list/2"], CRITICAL),
    Row("json-has", {"/productname": "Nextcloud", "/maintenance": False}, OK),
    Row("json-has", {"/productname": "ownCloud"}, CRITICAL),
    Row("json-like", {"/versionstring": r"^29\..*"}, OK),
    Row("json-like", {"/versionstring": "^30"}, CRITICAL),
    Row("json-is", json.dumps(DOCUMENT), OK),
    Row("json-is", '{"other": 1}', CRITICAL),
]
_TEXT_ROWS = [
    Row("body-contains", "Grüße", OK),
    Row("body-contains", "grüße", CRITICAL),
    Row("body-like", r"version \d+$", OK),
    Row("body-like", "^version", CRITICAL),
    # To answer with what is no JSON is the website's fault, not ours.
    Row("json-contains", ["/maintenance"], CRITICAL, old_agent=UNKNOWN),
]
_HTTPS_ROWS = [
    Row("status-is", 200, OK),
    Row("http-to-https", True, OK),
    Row("http-to-https", [301, 302], OK),
    Row("http-to-https", {"start": 302, "stop": 309}, CRITICAL),
    Row("ssl-certificate-expiration", "on-check", OK),
]
_ENDING_ROWS = [Row("ssl-certificate-expiration", "on-check", WARNING)]
_ENDING_TODAY_ROWS = [Row("ssl-certificate-expiration", "on-check", CRITICAL)]
_EXPIRED_ROWS = [
    Row("status-is", 200, CRITICAL),
    Row("ssl-certificate-expiration", "on-check", CRITICAL),
]
_UNTRUSTED_ROWS = [
    Row("status-is", 200, CRITICAL),
    # To us a certificate that nobody may accept is no mere warning.
    Row("ssl-certificate-expiration", "on-check", CRITICAL, old_server=WARNING),
]
_IPV6_ROWS = [Row("status-is", 200, OK), Row("status-is", 404, CRITICAL)]

Task = tuple[str, str, str]
"""A host with its port, a check's name, and the text of what it expects."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The websites, and what each is asked."""

    nginx: Nginx
    trust: Trust
    entries: tuple[tuple[Host, list[Row]], ...]

    def config(self) -> list[dict[str, Any]]:
        """The section `websites` of a config."""
        return [
            {
                "domain": self.nginx.url(host),
                "ipv4": not is_ipv6(host),
                "ipv6": is_ipv6(host),
                "paths": [
                    {"path": "/", "checks": [{row.check: row.value} for row in rows]}
                ],
            }
            for host, rows in self.entries
        ]

    def severities(
        self, *, old_agent: bool = False, old_server: bool = False
    ) -> dict[Task, str]:
        """What a server comes to, for each task, by what an agent reports."""
        return {
            (
                f"{host.address}:{self.nginx.port}",
                row.check,
                get_registered_checks()[row.check].encode_expected(row.value),
            ): (old_agent and row.old_agent)
            or (old_server and row.old_server)
            or row.severity
            for host, rows in self.entries
            for row in rows
        }


def is_ipv6(host: Host) -> bool:
    return ":" in host.address


@contextmanager
def run_catalogue(binary: str, folder: Path) -> Iterator[Catalogue]:
    """Start the websites."""
    folder.mkdir()
    trust = Trust(folder / "certificates")
    day = timedelta(days=1)
    entries = [
        (Host("127.0.4.1", _JSON_BODY), _JSON_ROWS),
        (Host("127.0.4.2", _TEXT_BODY), _TEXT_ROWS),
        (Host("127.0.4.3", "return 200;", trust.good("127.0.4.3")), _HTTPS_ROWS),
        (
            Host("127.0.4.4", "return 200;", trust.good("127.0.4.4", ends_in=3 * day)),
            _ENDING_ROWS,
        ),
        (
            Host("127.0.4.5", "return 200;", trust.good("127.0.4.5", ends_in=day / 2)),
            _ENDING_TODAY_ROWS,
        ),
        (
            Host("127.0.4.6", "return 200;", trust.untrusted("127.0.4.6")),
            _UNTRUSTED_ROWS,
        ),
        (
            Host("127.0.4.7", "return 200;", trust.good("127.0.4.7", ends_in=-2 * day)),
            _EXPIRED_ROWS,
        ),
    ]
    if has_ipv6_loopback():
        entries.append((Host("[::1]", "return 200;"), _IPV6_ROWS))
    hosts = [host for host, _ in entries]
    with Nginx(binary, folder / "nginx", hosts, port=free_port()) as nginx:
        yield Catalogue(nginx, trust, tuple(entries))
