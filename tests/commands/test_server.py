"""`argos server`: tokens, configs, migrations, reloads, and starting."""

import signal
import socket
import urllib.request
import uuid
from pathlib import Path

import pytest

from argos.server.migrations.revision import head_revision
from argos.server.settings import read_config
from tests.commands.conftest import Run, Start, read_until, write_config
from tests.tree import ROOT


def test_a_token_is_a_uuid_and_never_the_same(argos: Run) -> None:
    outputs = {argos("server", "generate-token").output for _ in range(3)}

    assert len(outputs) == 3
    assert {uuid.UUID(output.strip()).version for output in outputs} == {4}


def test_the_example_config_is_printed_with_a_secret_of_its_own(
    argos: Run, tmp_path: Path
) -> None:
    example = (ROOT / "argos" / "config-example.yaml").read_text(encoding="utf-8")
    before, after = example.split("put-a-random-text-here")

    outputs = [argos("server", "generate-config").stdout for _ in range(2)]

    assert outputs[0] != outputs[1]
    for output in outputs:
        assert output.startswith(before)
        assert output.endswith(f"{after}\n")
    path = tmp_path / "config.yaml"
    path.write_text(outputs[0])
    path.chmod(0o600)
    assert read_config(path, environ={}).warnings == ()


def test_a_migration_says_where_it_arrived(argos: Run, config: Path) -> None:
    result = argos("server", "migrate")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert f"to {head_revision()}" in result.stderr


def test_a_migration_goes_back_and_forth(argos: Run, config: Path) -> None:
    argos("server", "migrate")

    back = argos("server", "migrate", "--to", "f0b3ce75afa4")
    refused = argos("server", "nagios")
    forth = argos("server", "migrate")

    assert [back.exit_code, refused.exit_code, forth.exit_code] == [0, 3, 0]


def test_a_revision_that_nobody_knows_is_refused(argos: Run, config: Path) -> None:
    result = argos("server", "migrate", "--to", "no-such-revision")

    assert result.exit_code == 3
    assert "no-such-revision" in result.stderr


# Reloading the config


def test_a_reload_counts_what_it_changed(argos: Run, ready: Path) -> None:
    write_config(ready, "http://127.0.0.1:10", "http://127.0.0.1:11")

    result = argos("server", "reload-config")

    assert result.exit_code == 0
    assert result.stdout == "1 task(s) deleted\n2 task(s) added\n0 task(s) updated\n"


def test_a_reload_of_an_unchanged_config_says_so(argos: Run, ready: Path) -> None:
    result = argos("server", "reload-config")

    assert (result.exit_code, result.stdout) == (0, "Config has not change\n")


def test_a_reload_that_would_remove_much_wants_to_be_told(
    argos: Run, ready: Path
) -> None:
    write_config(ready, *[f"http://127.0.0.1:{port}" for port in range(1000, 1020)])
    argos("server", "reload-config")
    write_config(ready, "http://127.0.0.1:9")

    refused = argos("server", "reload-config")
    allowed = argos("server", "reload-config", "--allow-mass-removal")

    assert refused.exit_code == 5
    assert "--allow-mass-removal" in refused.stderr
    assert allowed.stdout.startswith("20 task(s) deleted\n")


def test_a_reload_can_be_left_to_the_server_once(argos: Run, ready: Path) -> None:
    first = argos("server", "reload-config", "--enqueue")
    second = argos("server", "reload-config", "--enqueue")

    assert first.stdout == "Config reloading has been added in the job queue\n"
    assert second.stdout == (
        "There is already a config reloading job in the job queue, for the same file\n"
    )


def test_a_queued_reload_is_done_by_the_next_server(
    argos: Run, ready: Path, start: Start
) -> None:
    write_config(ready, "http://127.0.0.1:10", "http://127.0.0.1:11")
    argos("server", "reload-config", "--enqueue")

    read_until(start("server", "start", "--port", "0"), "Applied the config")


def test_warnings_of_the_config_are_shown(argos: Run, ready: Path) -> None:
    write_config(ready, "http://127.0.0.1:9", general="  frequencyy: 5m\n")

    result = argos("server", "reload-config")

    assert result.exit_code == 0
    assert "Warning: " in result.stderr
    assert "frequencyy" in result.stderr


# Starting


def test_a_server_starts_serves_and_stops(ready: Path, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = start("server", "start", "--port", str(port))

    read_until(server, "Application startup complete")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200
    server.send_signal(signal.SIGTERM)
    read_until(server, "Finished server process")

    assert server.wait() == 0


def test_several_processes_may_serve(ready: Path, start: Start) -> None:
    server = start("server", "start", "--port", "0", "--workers", "2")

    read_until(server, "Application startup complete")
    read_until(server, "Application startup complete")
    server.send_signal(signal.SIGTERM)
    server.communicate()

    assert server.returncode == 0


def test_a_server_may_migrate_first(config: Path, start: Start) -> None:
    server = start("server", "start", "--port", "0", "--migrate")

    read_until(server, "Application startup complete")


def test_a_port_in_use_is_one_clear_line(argos: Run, ready: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = argos("server", "start", "--port", str(port))

    assert result.exit_code == 1
    assert f"Cannot listen on 127.0.0.1 port {port}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("port", ["-1", "70000", "http"])
def test_a_port_that_is_none_is_a_usage_error(argos: Run, port: str) -> None:
    assert argos("server", "start", "--port", port).exit_code == 2
