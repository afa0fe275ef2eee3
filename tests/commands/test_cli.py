"""The command line as a whole."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from argos import VERSION
from argos.commands import cli
from tests.commands.conftest import Run, write_config
from tests.interpreter import run_python
from tests.tree import ROOT

LIGHT = """
import json, sys
from argos.commands import cli
cli(["version"], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""

REFERENCE = ROOT / "docs" / "reference" / "cli.md"


def commands(
    group: click.Group = cli, *path: str
) -> Iterator[tuple[str, click.Command]]:
    """Every command that is not hidden, with its whole name."""
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            if command.hidden:
                continue
            if isinstance(command, click.Group):
                yield from commands(command, *path, name)
            else:
                yield " ".join(["argos", *path, name]), command


def test_version_is_a_bare_line(argos: Run) -> None:
    result = argos("version")

    assert (result.exit_code, result.output) == (0, f"{VERSION}\n")


def test_version_loads_next_to_nothing() -> None:
    shown = run_python(LIGHT).splitlines()
    loaded = set(json.loads(shown[-1]))

    assert loaded.isdisjoint({"asyncio", "pydantic", "rich", "ssl", "httpx2", "yaml"})


@pytest.mark.parametrize(
    "name",
    [
        "agent",
        "server start",
        "server reload-config",
        "server migrate",
        "server generate-token",
        "server generate-config",
        "server test-mail",
        "server test-gotify",
        "server test-apprise",
        "server nagios",
        "server user add",
        "server user change-password",
        "server user verify-password",
        "server user disable",
        "server user enable",
        "server user delete",
        "server user show",
        "version",
    ],
)
def test_every_command_of_0_10_3_is_there(argos: Run, name: str) -> None:
    result = argos(*name.split(), "--help")

    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: argos {name}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["server", "watch-agents", "--time-without-agent", "10"],
        ["server", "cleandb", "--max-results", "100", "--max-lock-seconds", "100"],
        ["server", "cleandb", "--config", "/nowhere.yaml"],
    ],
)
def test_commands_in_old_crontabs_do_no_harm(argos: Run, arguments: list[str]) -> None:
    result = argos(*arguments)

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "does nothing any more" in result.stderr


def test_an_unknown_command_is_a_usage_error(argos: Run) -> None:
    result = argos("server", "no-such-thing")

    assert result.exit_code == 2
    assert "No such command 'no-such-thing'" in result.stderr


# What goes wrong


def test_faults_of_a_config_are_told_line_by_line(argos: Run, config: Path) -> None:
    write_config(config, websites="  - domain: ftp://example.org\n    paths: 5\n")

    result = argos("server", "reload-config")

    assert result.exit_code == 1
    heading, *faults = result.stderr.splitlines()
    assert heading == "Errors where found while reading configuration:"
    assert len(faults) == 2
    assert all(re.match(r".*argos-config\.yaml:\d+:\d+: ", fault) for fault in faults)


def test_a_named_config_that_is_missing_is_not_replaced_by_another_one(
    argos: Run, config: Path
) -> None:
    result = argos("server", "reload-config", "--config", "other.yaml")

    assert result.exit_code == 2
    assert "other.yaml" in result.stderr
    assert "does not exist" in result.stderr


def test_without_any_config_the_places_are_named(
    argos: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = argos("server", "nagios")

    assert result.exit_code == 2
    assert "/etc/argos/config.yaml" in result.stderr


def test_the_option_wins_over_the_variable(
    argos: Run, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOS_YAML_FILE", "/nowhere.yaml")

    assert argos("server", "reload-config").exit_code == 2
    assert argos("server", "reload-config", "--config", ready).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["server", "nagios"],
        ["server", "reload-config"],
        ["server", "start"],
        ["server", "user", "show"],
        ["server", "agent-token", "list"],
    ],
)
def test_a_database_without_its_schema_is_refused_with_the_mend(
    argos: Run, config: Path, arguments: list[str]
) -> None:
    result = argos(*arguments)

    assert result.exit_code == 3
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "argos server migrate" in line


def test_a_database_that_cannot_be_opened_is_one_line_without_password(
    argos: Run, config: Path
) -> None:
    url = "postgresql://argos:hunter2@127.0.0.1:1/argos"
    config.write_text(
        re.sub(r"sqlite:///[^\"]*", url, config.read_text()),
    )

    result = argos("server", "nagios")

    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert "Cannot open the database" in line
    assert "hunter2" not in line


# The reference page


def test_the_reference_names_every_command_with_all_its_options() -> None:
    page = REFERENCE.read_text()
    sections = {
        match[1]: match[2]
        for match in re.finditer(
            r"^### `([^`\n]+)`\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE
        )
    }

    expected = {}
    for name, command in commands():
        options = {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        expected[name] = options
    documented = {
        name: set(re.findall(r"`(--[a-z0-9-]+)", text))
        for name, text in sections.items()
    }

    assert documented == expected


def test_the_reference_names_every_exit_code() -> None:
    from argos import errors

    page = REFERENCE.read_text()
    codes = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.ArgosError)
    }

    table = page.partition("## Exit codes")[2]
    assert {f"| {code} |" in table for code in codes} == {True}
