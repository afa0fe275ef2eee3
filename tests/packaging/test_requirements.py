"""The locked requirements fit what pyproject.toml asks for, and are safe to install."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
SETS = {
    "run": [*PROJECT["project"]["dependencies"], *GROUPS["build"]],
    "test": [*PROJECT["project"]["dependencies"], *GROUPS["build"], *GROUPS["test"]],
    "check": [
        *PROJECT["project"]["dependencies"],
        *(wanted for group in GROUPS.values() for wanted in group),
    ],
}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def _entries(name: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Each locked requirement with its hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = line.split(" --hash=")
        yield Requirement(requirement), [hash_.strip() for hash_ in hashes]


def _pins(name: str, python: str) -> dict[str, str]:
    """The versions that one Python on Linux gets."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.7",
        "sys_platform": "linux",
    }
    pins: dict[str, str] = {}
    for requirement, _ in _entries(name):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            [pin] = requirement.specifier
            assert pin.operator == "=="
            assert requirement.name not in pins, "two versions for one Python"
            pins[requirement.name] = pin.version
    return pins


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", SETS)
def test_what_the_project_asks_for_is_locked(name, python):
    pins = _pins(name, python)

    for text in SETS[name]:
        wanted = Requirement(text)
        pin = pins.get(canonicalize_name(wanted.name))
        assert pin is not None, f"{text} is not locked; run scripts/lock"
        assert wanted.specifier.contains(pin, prereleases=True), (
            f"{text}: {pin} is locked"
        )


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("smaller", ["run", "test"])
def test_the_smaller_sets_are_parts_of_the_widest(smaller, python):
    assert _pins(smaller, python).items() <= _pins("check", python).items()


@pytest.mark.parametrize("name", SETS)
def test_a_requirement_with_extras_is_locked_with_them(name):
    """Else pip takes the newest release for `coverage[toml]` and finds no hash of it."""
    locked = {requirement.name: requirement.extras for requirement, _ in _entries(name)}
    wanted = [Requirement(text) for text in SETS[name]]
    wanted += [
        Requirement(text)
        for found in distributions()
        if canonicalize_name(found.name) in locked
        for text in found.requires or []
        if "extra ==" not in text
    ]

    lacking = {
        str(requirement)
        for requirement in wanted
        if not requirement.extras
        <= locked.get(canonicalize_name(requirement.name), set())
    }

    assert {text for text in lacking if Requirement(text).name in locked} == set()


@pytest.mark.parametrize("name", SETS)
def test_each_locked_version_has_its_hashes(name):
    for requirement, hashes in _entries(name):
        assert hashes, requirement
        for hash_ in hashes:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", hash_), requirement


@pytest.mark.parametrize("name", SETS)
def test_the_lock_names_no_index(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()

    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE)
