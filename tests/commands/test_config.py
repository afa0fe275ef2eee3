"""`argos config check`."""

from pathlib import Path

from tests.commands.conftest import Run, write_config


def test_a_config_without_faults_is_fine(argos: Run, config: Path) -> None:
    result = argos("config", "check")

    assert result.exit_code == 0
    assert result.stdout == "The config is fine: 1 website with 1 task, 0 warnings.\n"


def test_an_unknown_key_is_a_warning_or_strictly_a_fault(
    argos: Run, config: Path
) -> None:
    write_config(config, "http://127.0.0.1:9", general="  frequencyy: 5m\n")

    lenient, strict = argos("config", "check"), argos("config", "check", "--strict")

    assert lenient.exit_code == 0
    assert "Warning: " in lenient.stderr
    assert "1 warning." in lenient.stdout
    assert strict.exit_code == 1
    assert "argos-config.yaml:7:3: " in strict.stderr


def test_no_database_is_needed(argos: Run, config: Path) -> None:
    argos("config", "check")

    assert [path.name for path in config.parent.iterdir()] == [config.name]
