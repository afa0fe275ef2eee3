"""Files of a config: where they may lie, how large they may be, and links."""

import os
import tempfile
from pathlib import Path

import pytest

from argos.errors import ConfigError
from argos.schemas.node import ScalarNode, pack_place
from argos.schemas.reading import Reading
from argos.server import includes
from argos.server.includes import ConfigFiles
from argos.server.settings import read_config
from argos.server.wildcard import find_files
from tests.config.texts import ENVIRON, HEAD, website, write


def _hosts(path):
    return [
        website.domain.split(".")[0].removeprefix("https://")
        for website in read_config(path, environ=ENVIRON).config.websites
    ]


def _faults(path, **options):
    with pytest.raises(ConfigError) as caught:
        read_config(path, environ=ENVIRON, **options)
    return [str(fault) for fault in caught.value.faults]


def test_a_missing_main_file_is_told(tmp_path):
    path = tmp_path / "config.yaml"

    assert _faults(path) == [
        f"{path}: This file cannot be read: No such file or directory."
    ]


def test_a_folder_is_no_main_file(tmp_path):
    assert _faults(tmp_path) == [
        f"{tmp_path}: This file cannot be read: Not a regular file."
    ]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.yaml")

    assert "Not a regular file" in _faults(tmp_path / "config.yaml")[0]


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "config.yaml"
    with path.open("wb") as file:
        file.truncate(includes.MAX_FILE_BYTES + 1)

    assert _faults(path) == [f"{path}:1:1: This file is larger than 256 MiB."]


def test_a_second_include_of_a_file_is_no_loop(tmp_path):
    path = write(
        tmp_path,
        config=f"{HEAD}x-a: !include a.yaml\nwebsites: !include a.yaml\n",
        a=website("a"),
    )

    assert _hosts(path) == ["a"]


def test_five_includes_may_lie_in_each_other(tmp_path):
    texts = {f"a{n}": f"!include a{n + 1}.yaml\n" for n in range(1, 5)}
    path = write(
        tmp_path, config=f"{HEAD}websites: !include a1.yaml\n", a5=website("a"), **texts
    )

    assert _hosts(path) == ["a"]


def test_a_loop_through_a_link_is_seen(tmp_path):
    path = write(tmp_path, config=f"{HEAD}websites: !include b.yaml\n")
    (tmp_path / "b.yaml").symlink_to("config.yaml")

    assert _faults(path) == [
        f"{path}:9:11: An include must not lead back to {tmp_path}/b.yaml."
    ]


def test_the_folder_of_the_main_file_is_that_behind_a_link(tmp_path):
    write(
        tmp_path,
        real__config=f"{HEAD}websites: !include a.yaml\n",
        real__a=website("a"),
    )
    (tmp_path / "config.yaml").symlink_to("real/config.yaml")

    assert _hosts(tmp_path / "config.yaml") == ["a"]


def test_a_file_behind_a_link_to_the_main_file_is_named_by_its_own_path(tmp_path):
    write(tmp_path, real__config=f"{HEAD}websites: !include a.yaml\n", real__a="- a\n")
    (tmp_path / "config.yaml").symlink_to("real/config.yaml")

    assert _faults(tmp_path / "config.yaml")[0].startswith(
        f"{tmp_path}/real/a.yaml:1:3: "
    )


OUTSIDE = "The folder {}/other lies outside of the config's; if that is wanted, name it in `general.allow_includes_from`."


@pytest.fixture
def outside(tmp_path):
    """A config that includes the same file in three ways, from another folder."""
    write(tmp_path, other__a=website("a"), here__x="[]\n")
    (tmp_path / "here/link.yaml").symlink_to("../other/a.yaml")
    return write(
        tmp_path / "here",
        config=(
            f"{HEAD}x-1: !include ../other/a.yaml\nx-2: !include {tmp_path}/other/*.yaml\n"
            "websites: !include link.yaml\n"
        ),
    )


def test_files_from_elsewhere_are_included_with_a_warning(tmp_path, outside):
    loaded = read_config(outside, environ=ENVIRON)

    assert len(loaded.config.websites) == 1
    assert [(warning.line, warning.column) for warning in loaded.warnings] == [
        (9, 6),
        (10, 6),
        (11, 11),
    ]
    assert {w.message for w in loaded.warnings} == {OUTSIDE.format(tmp_path)}


def test_files_from_elsewhere_are_refused_when_strict(tmp_path, outside):
    faults = _faults(outside, strict=True)

    assert faults[0] == f"{outside}:9:6: {OUTSIDE.format(tmp_path)}"
    assert len(faults) == 3


@pytest.mark.parametrize("allowed", ["../other", "..", "{}/other"])
def test_files_from_a_folder_that_the_config_allows_are_included(
    tmp_path, outside, allowed
):
    text = outside.read_text()
    entry = f'  allow_includes_from: ["{allowed.format(tmp_path)}"]\n  frequency:'
    outside.write_text(text.replace("  frequency:", entry))

    assert read_config(outside, strict=True, environ=ENVIRON).warnings == ()


def test_a_config_may_have_so_many_files(tmp_path):
    path = write(tmp_path, config=f"{HEAD}websites: !include a.yaml\n", a="[]\n")
    reading = Reading(environ=ENVIRON)
    reading.files = ["…"] * (includes.MAX_FILES - 1)

    ConfigFiles(path, reading).read()

    (fault,) = reading.faults.listed(reading.files)
    assert fault.message == "An include must not lead to more than 200000 files."


def test_a_link_that_leads_nowhere_is_told(tmp_path):
    path = write(tmp_path, config=f"{HEAD}websites: !include d/*.yaml\n", d__a="[]\n")
    (tmp_path / "d/gone.yaml").symlink_to("nowhere")

    assert (
        f"{path}:9:11: The file {tmp_path}/d/gone.yaml cannot be read: "
        "No such file or directory."
    ) in _faults(path)


@pytest.fixture
def tree(tmp_path):
    """Files in folders, with links that lead in circles."""
    write(tmp_path, a="", d__b="", d__e__c="")
    (tmp_path / "d/up").symlink_to("..")
    (tmp_path / "d/e/self").symlink_to(".")
    (tmp_path / "to-d").symlink_to("d")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "depth", "names"),
    [
        ("**/*.yaml", None, ["a", "d/b", "d/e/c"]),
        ("**/*.yaml", 1, ["a"]),
        ("**/*.yaml", 2, ["a", "d/b"]),
        ("**/e/*.yaml", 2, []),
        ("**/e/*.yaml", 3, ["d/e/c"]),
        ("d/**/*.yaml", 1, ["d/b"]),
        ("**/**/*.yaml", None, ["a", "d/b", "d/e/c"]),
        ("**", None, ["a", "d/b", "d/e/c"]),
        ("*.yaml/*", None, []),
        ("a.yaml/**", None, []),
        ("*/*.yaml", None, ["d/b", "to-d/b"]),
        ("to-d/*.yaml", None, ["to-d/b"]),
        ("to-d/../?.yaml", None, ["to-d/../a"]),
        ("nowhere/*/x", None, []),
    ],
)
def test_a_pattern_finds_files_and_is_not_led_in_circles(tree, pattern, depth, names):
    found = find_files(tree, pattern, depth)

    assert [str(path.relative_to(tree)) for path in found] == [
        f"{n}.yaml" for n in names
    ]


def test_a_pattern_may_be_absolute(tree):
    assert find_files(tree / "nowhere", f"{tree}/d/*.yaml") == [tree / "d/b.yaml"]


@pytest.fixture
def shared_folder():
    """A folder that any user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def unprivileged():
    """Whatever user runs the tests: not root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_what_may_not_be_read_is_told(shared_folder, request):
    path = write(
        shared_folder,
        config=f"{HEAD}x-a: !include a.yaml\nwebsites: !include d/**/*.yaml\n",
        a="[]\n",
        d__b="[]\n",
    )
    (shared_folder / "a.yaml").chmod(0)
    (shared_folder / "d").chmod(0)
    request.getfixturevalue("unprivileged")

    assert _faults(path) == [
        f"{path}:9:6: The file {shared_folder}/a.yaml cannot be read: Permission denied.",
        f"{path}:10:11: The folder {shared_folder}/d cannot be read: Permission denied.",
    ]


def test_links_in_a_circle_are_told(tmp_path):
    path = write(tmp_path, config=f"{HEAD}websites: !include a.yaml\n")
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")

    (fault,) = _faults(path)

    assert fault.startswith(f"{path}:9:11: The file {tmp_path}/a.yaml cannot be read: ")


def test_a_file_name_without_end_is_told(tmp_path):
    path = write(tmp_path, config=f"{HEAD}websites: !include {'x' * 300}.yaml\n")

    assert _faults(path) == [
        f"{path}:9:11: The file {tmp_path}/{'x' * 300}.yaml cannot be read: "
        "File name too long."
    ]


def test_an_include_in_the_middle_of_a_value_is_read(tmp_path):
    path = write(
        tmp_path,
        config=f"{HEAD}websites:\n  - domain: https://e.org\n    paths: !include p.yaml\n",
        p="- path: !include s.yaml\n  checks: []\n",
        s="/from-a-file\n",
    )

    (found,) = read_config(path, environ=ENVIRON).config.websites

    assert found.paths[0].path == "/from-a-file"


def test_a_place_is_one_number():
    assert ScalarNode("a", pack_place(1, 2, 3)).place == 1 << 52 | 2 << 20 | 3
