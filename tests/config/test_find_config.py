"""Which config file is read."""

import pytest

from argos.errors import ConfigError, Fault
from argos.server.settings import find_config


@pytest.fixture
def folder(tmp_path):
    """A working directory, and a system-wide config beside it."""
    (tmp_path / "here").mkdir()
    for name in ("here/argos-config.yaml", "here/named.yaml", "system.yaml"):
        (tmp_path / name).touch()
    return tmp_path


def _find(folder, option=None, variable=None, system="system.yaml"):
    environ = {} if variable is None else {"ARGOS_YAML_FILE": variable}
    found = find_config(option, environ, folder / "here", system_path=folder / system)
    return str(found.relative_to(folder))


def test_without_a_name_the_file_in_the_working_directory_is_read(folder):
    assert _find(folder) == "here/argos-config.yaml"


def test_without_a_name_the_system_wide_file_comes_next(folder):
    (folder / "here/argos-config.yaml").unlink()

    assert _find(folder) == "system.yaml"


@pytest.mark.parametrize("name", ["named.yaml", "./named.yaml", "../here/named.yaml"])
def test_the_variable_names_the_file(folder, name):
    assert _find(folder, variable=name).endswith("here/named.yaml")


def test_the_option_wins_over_the_variable(folder):
    assert _find(folder, option="named.yaml", variable="gone.yaml") == "here/named.yaml"


def test_an_absolute_name_is_taken_as_it_is(folder):
    assert _find(folder, option=str(folder / "system.yaml")) == "system.yaml"


def test_an_empty_name_is_no_name(folder):
    assert _find(folder, option="", variable="") == "here/argos-config.yaml"


@pytest.mark.parametrize("names", [{"option": "gone.yaml"}, {"variable": "gone.yaml"}])
def test_a_named_file_that_is_missing_is_never_replaced_by_another(folder, names):
    with pytest.raises(ConfigError) as caught:
        _find(folder, **names)

    assert caught.value.faults == [
        Fault(
            str(folder / "here/gone.yaml"),
            0,
            0,
            "This config file does not exist or cannot be read.",
        )
    ]


def test_a_named_folder_is_no_config(folder):
    with pytest.raises(ConfigError, match="here: This config file does not exist"):
        _find(folder, option=".")


@pytest.mark.parametrize("name", ["x" * 5_000, "a\0b"], ids=["long", "with NUL"])
def test_a_name_that_no_file_can_have_is_refused(folder, name):
    with pytest.raises(ConfigError, match="does not exist or cannot be read"):
        _find(folder, option=name)


def test_no_file_at_all_is_told_with_the_ways_to_name_one(folder):
    (folder / "here/argos-config.yaml").unlink()

    with pytest.raises(ConfigError) as caught:
        _find(folder, system="gone.yaml")

    assert str(caught.value) == (
        f"{folder}/here/argos-config.yaml: There is no config file here, and no "
        f"{folder}/gone.yaml; name one with --config or with the variable "
        "ARGOS_YAML_FILE."
    )
