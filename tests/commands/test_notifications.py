"""`argos server test-mail` and its kin."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from argos.channels import NoticeKind
from argos.core.severity import Severity
from argos.server.services.channel_trial import Sample, make_trial_notice
from argos.server.services.wording import Wording
from tests.commands.conftest import Run, write_config


class _Gotify(BaseHTTPRequestHandler):
    """Takes messages with the token `right`, and refuses others."""

    messages: list[dict[str, object]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_right = self.headers["X-Gotify-Key"] == "right"
        if is_right:
            self.messages.append(json.loads(body))
        self.send_response(200 if is_right else 401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def gotify() -> Iterator[ThreadingHTTPServer]:
    handler = type("Gotify", (_Gotify,), {"messages": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test-mail"], "Mail is not configured, cannot test"),
        (["test-gotify"], "Gotify notifications are not configured, cannot test"),
        (
            ["test-apprise", "--apprise-group", "team"],
            "Apprise notifications are not configured, cannot test",
        ),
    ],
    ids=["mail", "gotify", "apprise"],
)
def test_what_is_not_configured_cannot_be_tested(
    argos: Run, config: Path, arguments: list[str], message: str
) -> None:
    result = argos("server", *arguments)

    assert result.exit_code == 1
    assert message in result.stderr


def test_apprise_needs_a_group(argos: Run, config: Path) -> None:
    assert argos("server", "test-apprise").exit_code == 2


def test_a_severity_that_is_none_is_a_usage_error(argos: Run, config: Path) -> None:
    assert argos("server", "test-mail", "--severity", "bad").exit_code == 2


def test_the_notice_looks_like_that_of_an_incident() -> None:
    notice = make_trial_notice(Sample(), Wording())

    assert notice.subject.startswith("[Argos] ❌ example.org (IPv4): status critical")
    assert (notice.kind, notice.severity) == (NoticeKind.TEST, Severity.CRITICAL)
    assert [item.kind for item in notice.items] == ["opened"]
    assert "This is a test" in notice.text


def test_a_notice_of_ok_is_a_recovery() -> None:
    notice = make_trial_notice(Sample(severity=Severity.OK), Wording())

    assert [item.kind for item in notice.items] == ["closed"]


def test_a_test_notice_arrives_and_one_failure_stops_no_other(
    argos: Run, config: Path, gotify: ThreadingHTTPServer
) -> None:
    url = f"http://127.0.0.1:{gotify.server_address[1]}"
    write_config(
        config, general=f'  gotify: [{{url: "{url}", tokens: [wrong, right]}}]\n'
    )

    result = argos("server", "test-gotify", "--domain", "shop.example")

    [message] = gotify.RequestHandlerClass.messages  # type: ignore[attr-defined]  # ours
    assert str(message["title"]).startswith("❌ shop.example (IPv4): status critical")
    assert result.exit_code == 1
    assert result.stdout.count("Sent to gotify:") == 1
    assert result.stderr.count("Error: gotify:") == 1
    assert "wrong" not in result.stderr


def test_an_apprise_group_that_is_missing_is_one_line(argos: Run, config: Path) -> None:
    write_config(config, general='  apprise: {team: ["json://127.0.0.1:9"]}\n')

    result = argos("server", "test-apprise", "--apprise-group", "other")

    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert "apprise:other" in line
