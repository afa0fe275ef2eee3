"""What people get wrong: each time a line that says where and how to mend it.

And an exit code that scripts can rely on, no traceback, and nothing half done.
"""

import http.server
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installation import TOKEN, Installation, make_config
from tests.e2e.programs import free_port

pytestmark = pytest.mark.timeout(90)

WEBSITES = [
    {
        "domain": f"http://127.0.0.1:{port}",
        "paths": [{"path": "/", "checks": [{"status-is": 200}]}],
    }
    for port in range(1, 31)
]

CANNOT_GO_ON = 1
USAGE = 2
WRONG_REVISION = 3
MASS_REMOVAL = 5


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation in good order; tests work on copies of its config."""
    folder = tmp_path_factory.mktemp("prepared") / "argos"
    config = make_config(WEBSITES, database_url="sqlite:///argos.db")
    argos = Installation(folder, config)
    argos.prepare()
    return argos


def complaints(said: str) -> list[str]:
    """The lines that are no heading, no warning and no hint on usage."""
    skipped = r"Errors where found|Usage:|Try '|Warning:|$"
    return [line for line in said.splitlines() if not re.match(skipped, line)]


def contents(argos: Installation) -> list[list[Any]]:
    """What `reload-config` could have changed."""
    tables = ("tasks", "schedule", "websites", "config_cache")
    return [argos.select(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


def replace(old: str, new: str) -> Callable[[str], str]:
    """A change of the config's text; it has to apply."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def write_variant(argos: Installation, name: str, change: Callable[[str], str]) -> Path:
    path = argos.folder / name
    path.write_text(change(argos.config_path.read_text()))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(
            replace("checks:", "checks: ["),
            r":\d+:\d+: This is not YAML: .+",
            id="broken YAML",
        ),
        pytest.param(
            lambda _: "- one\n- two\n", r":1:1: .*mapping.*", id="a list for a config"
        ),
        pytest.param(
            replace("status-is", "status-iz"),
            r":\d+:\d+: .*'status-iz'; did you mean `status-is`\?",
            id="unknown check",
        ),
        pytest.param(
            replace("status-is: 200", "status-is: often"),
            r":\d+:\d+: This should be one status code, such as 200.*",
            id="a check cannot use its value",
        ),
        pytest.param(
            replace("frequency: 3s", "frequency: 5 parsecs"),
            r':\d+:\d+: `frequency` .*"5m".*',
            id="bad duration",
        ),
        pytest.param(
            replace("http://127.0.0.1:1", "ftp://127.0.0.1:1"),
            r":\d+:\d+: .*http.*",
            id="a website's scheme",
        ),
        pytest.param(
            replace("- domain: http://127.0.0.1:1\n  paths", "- paths"),
            r":\d+:\d+: .*domain.*",
            id="a website without a domain",
        ),
        pytest.param(
            replace("sqlite:///", "mysql:///"),
            r":\d+:\d+: `url` must begin with sqlite:/// or postgresql://.*",
            id="a database of another kind",
        ),
        pytest.param(
            lambda text: f"{text.partition('websites:')[0]}websites: !include no.yaml",
            r":\d+:\d+: .*no\.yaml cannot be read: No such file.*",
            id="an include that is not there",
        ),
        pytest.param(
            lambda text: f"{text.partition('websites:')[0]}websites: !include bad.yaml",
            r":\d+:\d+: .*bad\.yaml.*",
            id="a config that includes itself",
        ),
        pytest.param(
            lambda text: text.replace(TOKEN, "${NO_SUCH_VARIABLE}"),
            r":\d+:\d+: .*NO_SUCH_VARIABLE.*",
            id="a variable that is not set",
        ),
    ],
)
def test_a_bad_config_is_refused_with_its_place(prepared, change, complaint):
    path = write_variant(prepared, "bad.yaml", change)
    before = contents(prepared)

    done = prepared.run("server", "reload-config", "--config", "bad.yaml")

    [line] = complaints(done.stderr)
    assert re.fullmatch(re.escape(str(path)) + complaint, line)
    assert done.returncode == CANNOT_GO_ON
    assert done.stdout == ""
    assert contents(prepared) == before


def test_all_faults_of_a_config_are_told_at_once(prepared):
    def change(text: str) -> str:
        worse = text.replace("status-is", "status-iz", 2)
        return worse.replace("frequency: 3s", "frequency: often")

    write_variant(prepared, "bad.yaml", change)

    done = prepared.run("config", "check", "--config", "bad.yaml")

    assert len(complaints(done.stderr)) == 3
    assert done.returncode == CANNOT_GO_ON


def test_a_website_that_stands_twice_is_told_and_watched_once(prepared):
    def change(text: str) -> str:
        last = text.rindex("- domain")
        return text + text[last:]

    path = write_variant(prepared, "twice.yaml", change)

    checked = prepared.run("config", "check", "--config", "twice.yaml")

    assert checked.returncode == 0, checked.stderr
    assert f"{len(WEBSITES)} tasks" in checked.stdout
    warning = rf"Warning: {re.escape(str(path))}:\d+:\d+: .*127\.0\.0\.1:30.*"
    assert re.search(warning, checked.stderr)


@pytest.mark.parametrize(
    "command",
    [
        ("server", "start"),
        ("server", "migrate"),
        ("server", "reload-config"),
        ("server", "user", "show"),
        ("config", "check"),
        ("up",),
    ],
    ids=" ".join,
)
def test_a_config_that_is_not_there_is_a_mistake_in_the_call(prepared, command):
    done = prepared.run(*command, "--config", "no.yaml")

    [line] = complaints(done.stderr)
    assert re.fullmatch(r"Error: .*/no\.yaml: .*does not exist.*", line)
    assert done.returncode == USAGE


def test_to_remove_most_tasks_needs_an_explicit_word(prepared):
    write_variant(
        prepared, "few.yaml", lambda text: text[: text.index("- domain", 1500)]
    )

    before = contents(prepared)

    done = prepared.run("server", "reload-config", "--config", "few.yaml")

    [line] = complaints(done.stderr)
    assert re.fullmatch(
        r"Error: .* remove \d+ of 30 tasks; .*--allow-mass-removal.*", line
    )
    assert done.returncode == MASS_REMOVAL
    assert contents(prepared) == before


def _nothing_listens(_folder: Path) -> str:
    return f"postgresql://user:a-secret-word@127.0.0.1:{free_port()}/argos"


def _no_such_folder(folder: Path) -> str:
    return f"sqlite:///{folder}/no/such/folder/argos.db"


def _a_folder(folder: Path) -> str:
    return f"sqlite:///{folder}"


def _another_file(folder: Path) -> str:
    (folder / "notes.txt").write_text("This is no database.\n" * 100)
    return f"sqlite:///{folder / 'notes.txt'}"


@pytest.mark.parametrize("command", ["migrate", "start"])
@pytest.mark.parametrize(
    "make_url", [_nothing_listens, _no_such_folder, _a_folder, _another_file]
)
def test_a_database_that_cannot_be_used_is_named(make_url, command, tmp_path):
    config = make_config(WEBSITES, database_url=make_url(tmp_path))
    argos = Installation(tmp_path / "argos", config)

    done = argos.run("server", command, "--config", "config.yaml")

    [line] = complaints(done.stderr)
    assert re.match(r"Error: .*database (sqlite|postgresql)\S*:///?\S+.*: .+", line)
    assert "a-secret-word" not in done.stderr
    assert done.returncode == CANNOT_GO_ON


@pytest.mark.parametrize("command", ["reload-config", "start"])
def test_a_database_without_tables_is_refused_with_the_mend(command, tmp_path):
    config = make_config(WEBSITES, database_url="sqlite:///argos.db")
    argos = Installation(tmp_path / "argos", config)

    done = argos.run("server", command, "--config", "config.yaml")

    [line] = complaints(done.stderr)
    assert "run `argos server migrate`" in line
    assert done.returncode == WRONG_REVISION


@pytest.mark.parametrize("command", ["migrate", "start"])
def test_a_database_of_a_later_version_is_refused(command, database_url, tmp_path):
    config = make_config(WEBSITES[:1], database_url=database_url)
    argos = Installation(tmp_path / "argos", config)
    argos.prepare()
    argos.execute("UPDATE alembic_version SET version_num = '29991231_later'")

    done = argos.run("server", command, "--config", "config.yaml")

    [line] = complaints(done.stderr)
    assert "29991231_later" in line
    assert done.returncode == WRONG_REVISION


def test_a_port_in_use_is_named(prepared):
    with socket.create_server(("127.0.0.1", prepared.port)):
        done = prepared.run(
            *("server", "start", "--config", "config.yaml"),
            *("--port", str(prepared.port)),
        )

    [line] = complaints(done.stderr)
    assert re.fullmatch(
        rf"Error: Cannot listen on 127\.0\.0\.1 port {prepared.port}: "
        r"Address already in use\..*--port.*",
        line,
    )
    assert done.returncode == CANNOT_GO_ON


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(
            ("ftp://127.0.0.1", TOKEN),
            r".*'ftp://127.0.0.1' is not the URL.*",
            id="scheme",
        ),
        pytest.param(("127.0.0.1:8000", TOKEN), r".*is not the URL.*", id="no scheme"),
        pytest.param(("http://127.0.0.1", ""), r".*There is no token.*", id="no token"),
        pytest.param(
            ("http://127.0.0.1", TOKEN, "--max-tasks", "0"),
            r".*max-tasks.*",
            id="tasks",
        ),
        pytest.param(
            ("http://127.0.0.1", TOKEN, "--deny", "x"), r".*--deny.*", id="network"
        ),
        pytest.param(
            ("http://127.0.0.1", TOKEN, "--probe-ca-file", "no.pem"),
            r".*no\.pem.*",
            id="CA file",
        ),
    ],
)
def test_an_agent_refuses_what_it_cannot_use(prepared, arguments, complaint):
    done = prepared.run("agent", *arguments)

    [line] = complaints(done.stderr)
    assert re.fullmatch(f"Error: {complaint}", line)
    assert done.returncode == USAGE


def test_an_agent_with_a_wrong_token_says_so_and_goes_on(prepared):
    with (
        prepared.start_server(),
        prepared.start(
            "agent", prepared.url, "a-wrong-token", log="agent.log"
        ) as agent,
    ):
        agent.wait_for_line(
            r"^ERROR +Failed to fetch tasks: http://\S+ does not accept this agent's "
            r"token .*service\.secrets"
        )
        agent.wait_for_line(r"Waiting \d+ seconds before next retry")

        assert not agent.has_ended
        assert agent.stop() == 0


class NotArgos(http.server.BaseHTTPRequestHandler):
    """A web server that knows no page of Argos."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def not_argos() -> Iterator[str]:
    """The URL of a web server of another kind."""
    with http.server.HTTPServer(("127.0.0.1", 0), NotArgos) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_agent_pointed_at_something_else_says_so(prepared):
    with (
        not_argos() as url,
        prepared.start("agent", url, TOKEN, log="elsewhere.log") as agent,
    ):
        agent.wait_for_line(
            rf"^ERROR +Failed to fetch tasks: {re.escape(url)} answers, but is not an "
            r"Argos server"
        )

        assert agent.stop() == 0


def test_an_agent_whose_server_is_away_says_so_and_goes_on(prepared):
    url = f"http://127.0.0.1:{free_port()}"
    with prepared.start("agent", url, TOKEN, log="away.log") as agent:
        agent.wait_for_line(
            rf"^ERROR +Failed to fetch tasks: {re.escape(url)} cannot be reached"
        )

        assert not agent.has_ended
        assert agent.stop() == 0
