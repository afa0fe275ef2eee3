"""`argos up`: from an empty folder to severities, and a clean end."""

import re
import signal
import socket
import sqlite3
import subprocess
import urllib.request
from pathlib import Path

import pytest

from argos.commands.starter import write_starter_config
from argos.server.settings import read_config
from tests.commands.conftest import Run, Start, read_until, write_config

# Nobody listens there: the starter config's example.org must not be looked up.
NO_NAMES = ("--name-server", "127.0.0.1:9")


def stop(process: "subprocess.Popen[str]") -> str:
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    return output


def test_the_first_start_needs_nothing(start: Start, tmp_path: Path) -> None:
    up = start("up", "--port", "0", *NO_NAMES)
    lines = read_until(up, "Successfully posted results")
    text = "\n".join(lines)

    [url] = re.findall(r"Argos is at (\S+/) ", text)
    with urllib.request.urlopen(f"{url}healthz") as answer:
        assert answer.status == 200
    assert re.search(r"Log in as admin with the password \S{16} ", text)
    assert (tmp_path / "argos-config.yaml").stat().st_mode & 0o777 == 0o600
    stop(up)
    with sqlite3.connect(tmp_path / "argos.db") as database:
        [[severity]] = database.execute(
            "SELECT severity FROM tasks WHERE url LIKE '%/healthz' AND \"check\" = ?",
            ["status-is"],
        )
        [[leased]] = database.execute(
            "SELECT count(*) FROM schedule WHERE leased_at IS NOT NULL"
        )
    database.close()
    assert severity == "ok"
    assert leased == 0


def test_the_second_start_changes_nothing_and_shows_no_password(
    start: Start, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "argos-config.yaml", "http://127.0.0.1:9")
    before = config.read_text()
    first = start("up", "--port", "0")
    assert "password" in "\n".join(read_until(first, "Successfully posted"))
    stop(first)

    second = start("up", "--port", "0")
    lines = read_until(second, "Application startup complete")
    stop(second)

    assert "password" not in "\n".join(lines)
    assert config.read_text() == before


def test_a_port_in_use_is_one_line_and_leaves_no_trace(
    argos: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = argos("up", "--port", str(port))

    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert f"Cannot listen on 127.0.0.1 port {port}" in line
    assert list(tmp_path.iterdir()) == []


def test_a_proxy_that_is_none_is_one_line_and_leaves_no_trace(
    argos: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = argos("up", "--port", "0", "--proxy", "192.0.2.1:3128")

    assert result.exit_code == 2
    assert "--proxy must begin with http:// or socks5h://" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_named_config_that_is_missing_is_not_made_up(
    argos: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = argos("up", "--port", "0", "--config", "other.yaml")

    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("has_ipv6", [True, False])
def test_the_starter_config_is_one_without_faults_or_warnings(
    tmp_path: Path, has_ipv6: bool
) -> None:
    path = tmp_path / "argos-config.yaml"
    write_starter_config(path, url="http://127.0.0.1:8000", has_ipv6=has_ipv6)

    loaded = read_config(path, strict=True, environ={})

    assert loaded.warnings == ()
    assert [website.domain for website in loaded.config.websites] == [
        "http://127.0.0.1:8000/",
        "https://example.org/",
    ]
    assert loaded.config.general.ipv6 is has_ipv6


def test_each_starter_config_has_secrets_of_its_own(tmp_path: Path) -> None:
    secrets = set()
    for name in ("a", "b"):
        path = tmp_path / f"{name}.yaml"
        write_starter_config(path, url="http://127.0.0.1:8000", has_ipv6=False)
        config = read_config(path, environ={}).config
        secrets.add(config.general.cookie_secret.get_secret_value())
        secrets.add(config.service.secrets[0].get_secret_value())

    assert len(secrets) == 4


def test_a_starter_config_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "argos-config.yaml"
    path.write_text("mine")

    with pytest.raises(FileExistsError):
        write_starter_config(path, url="http://127.0.0.1:8000", has_ipv6=False)

    assert path.read_text() == "mine"
