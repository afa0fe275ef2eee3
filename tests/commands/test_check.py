"""`argos check`, against websites on loopback."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from argos.commands.check import exit_code
from argos.core.severity import Severity
from tests.commands.conftest import Run, write_config

OK, WARNING, CRITICAL, UNKNOWN = Severity


class _Website(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = 200 if self.path == "/" else 404
        self.send_response(status)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def website() -> Iterator[str]:
    """A website that has one page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Website) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("severities", "code"),
    [
        (set(), 0),
        ({OK}, 0),
        ({OK, WARNING}, 1),
        ({WARNING, CRITICAL}, 2),
        ({WARNING, UNKNOWN}, 3),
        ({CRITICAL, UNKNOWN}, 2),
    ],
)
def test_the_exit_code_tells_the_worst(severities: set[Severity], code: int) -> None:
    assert exit_code(severities) == code


def test_a_website_that_answers_is_ok(argos: Run, website: str) -> None:
    result = argos("check", f"{website}/")

    assert result.exit_code == 0
    assert f"GET {website}/ (IPv4)" in result.output
    assert "Status 200" in result.output
    assert "total" in result.output
    assert "success" in result.output


def test_the_worst_of_several_websites_counts(argos: Run, website: str) -> None:
    result = argos("check", f"{website}/", f"{website}/missing")

    assert result.exit_code == 2
    assert "404" in result.output


def test_an_unreachable_website_is_critical_and_says_why(argos: Run) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"

        result = argos("check", url)

    assert result.exit_code == 2
    assert "No answer from 127.0.0.1 (connect)" in result.output


def test_json_holds_all_of_it(argos: Run, website: str) -> None:
    result = argos("check", "--json", f"{website}/missing")

    document = json.loads(result.stdout)
    assert result.exit_code == 2
    assert document["severity"] == "critical"
    [probe] = document["probes"]
    assert probe["url"] == f"{website}/missing"
    assert probe["status_code"] == 404
    assert probe["milliseconds"]["total"] > 0
    [check] = probe["checks"]
    assert (check["check"], check["status"]) == ("status-is", "failure")
    assert check["facts"]["retrieved"] == 404


def test_what_the_config_wants_of_a_website_is_checked(
    argos: Run, config: Path, website: str
) -> None:
    host = website.removeprefix("http://")
    checks = '[{status-is: 404}, {body-contains: "hello"}, {json-contains: ["/a"]}]'
    write_config(
        config,
        websites=f'  - domain: "{website}"\n    paths:\n'
        f'      - {{path: "/missing", checks: {checks}}}\n'
        '  - {domain: "http://127.0.0.1:9", paths: [{path: "/", checks: []}]}\n',
    )

    by_url = argos("check", "--domain", website, "--json")
    by_host = argos("check", "--domain", host, "--json")

    statuses = {
        check["check"]: check["severity"]
        for check in json.loads(by_url.stdout)["probes"][0]["checks"]
    }
    assert statuses == {
        "status-is": "ok",
        "body-contains": "ok",
        "json-contains": "critical",
    }
    assert (by_url.exit_code, by_host.exit_code) == (2, 2)


def test_a_website_that_the_config_lacks_is_an_error(argos: Run, config: Path) -> None:
    result = argos("check", "--domain", "other.example")

    assert result.exit_code == 1
    assert "The config has no tasks for other.example." in result.stderr


def test_an_untrusted_certificate_is_shown_and_critical(argos: Run) -> None:
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Website) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        result = argos("check", f"https://127.0.0.1:{server.server_address[1]}/")
        server.shutdown()

    assert result.exit_code == 2
    assert "Certificate: " in result.output
    assert "not accepted" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give URLs to probe, or --domain"),
        (["http://a", "--domain", "b"], "not both"),
        (["ftp://example.org"], "not ftp://"),
        (["file:///etc/passwd"], "not file://"),
        (["https://"], "is not a URL"),
        (["http://["], "is not a URL"),
        (["http://a", "--timeout", "0"], "--timeout"),
        (["http://a", "--ip-version", "5"], "--ip-version"),
        (["http://a", "--follow", "11"], "--follow"),
        (["http://a", "--proxy", "ftp://ada:canary@b:1"], "--proxy must begin with"),
        (["http://a", "--name-server", "dns.example"], "--name-server must be an"),
        (["--domain", "b", "--follow", "1"], "the config has the options"),
    ],
)
def test_what_cannot_be_probed_is_a_usage_error(
    argos: Run, arguments: list[str], words: str
) -> None:
    result = argos("check", *arguments)

    assert result.exit_code == 2
    assert words in result.stderr


class _Redirecting(_Website):
    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/" else 200)
        self.send_header("Location", "/there")
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_redirects_handshake_and_chain_are_shown(argos: Run) -> None:
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().create_child_ca().issue_cert("127.0.0.1").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting) as plain:
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{plain.server_address[1]}/"

        followed = argos("check", url, "--follow", "2", "--all-addresses")
        plain.shutdown()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Website) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{server.server_address[1]}/"

        shown = argos("check", url, "--http-version", "auto")
        document = json.loads(argos("check", url, "--json").stdout)
        server.shutdown()

    assert "/there" in followed.output
    assert followed.exit_code == 0
    assert "Handshake: TLSv1.3, TLS_" in shown.output
    assert "EC P-256" in shown.output
    assert "signed by: " in shown.output
    [probe] = document["probes"]
    assert probe["handshake"]["protocol"] == "TLSv1.3"
    assert probe["certificate"]["key"] == "EC P-256"
    assert len(probe["certificate"]["chain"]) == 1
    assert probe["certificate"]["not_after"].startswith("3000-")


def test_the_configs_options_hold_for_its_websites(argos: Run, config: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        website = f"http://127.0.0.1:{server.server_address[1]}"
        write_config(
            config,
            websites=f'  - domain: "{website}"\n    follow: 1\n    ipv6: false\n'
            "    paths:\n      - {path: /, checks: [{status-is: 200}]}\n",
        )

        result = argos("check", "--domain", website, "--json")
        server.shutdown()

    assert result.exit_code == 0
    [probe] = json.loads(result.stdout)["probes"]
    assert probe["hops"] == [f"{website}/there"]
    assert probe["checks"][0]["facts"]["final_url"] == f"{website}/there"
