"""The page on checks, the registry and the examples name the same things."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from argos.checks import get_registered_check, get_registered_checks
from argos.checks.response_time import Phase
from tests.tree import ROOT

PAGE = (ROOT / "docs/reference/checks.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(
    re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
)


def _examples() -> Iterator[tuple[str, Any]]:
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        content = yaml.safe_load(block)
        entries = content.get("checks", []) if isinstance(content, dict) else content
        for entry in entries:
            yield from entry.items()


def test_each_check_has_its_section_in_the_order_of_registration():
    assert [*SECTIONS] == [*get_registered_checks()]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_shows_the_check_and_tells_its_value_facts_and_history(name):
    section = SECTIONS[name]

    assert f"\n- {name}: " in section or f"\n- {name}:\n" in section
    assert "Facts: " in section
    assert "*Since 0.10.3" in section


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_says_what_the_class_says(name):
    described = (get_registered_check(name).__doc__ or "").split("\n")[0]
    told = " ".join(SECTIONS[name].split())

    assert described.rstrip(".") in told


@pytest.mark.parametrize(("name", "value"), [*_examples()], ids=repr)
def test_the_examples_can_be_used_as_they_stand(name, value):
    check = get_registered_check(name)

    check.encode_expected(value)

    assert check.legacy_quirk(value) is None


def test_all_phases_are_listed():
    listed = re.findall(r"^\| `([a-z-]+)` \|", SECTIONS["response-time"], re.MULTILINE)

    assert listed == [*Phase]
