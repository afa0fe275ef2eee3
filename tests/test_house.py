"""Rules of the house that no linter knows: what our files may hold."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tree import ROOT, tracked_files

ARGOS = ROOT / "argos"

MAX_LINES = 400
LONGER = {
    "argos/config-example.yaml": "each key of the config, with its explanation",
    "argos/locales/fr.po": "each sentence of the notices, in French",
}
"""Files that may pass the limit, and why."""

NEVER_TRACKED = re.compile(
    # Written so that this file does not hold them itself.
    r"py[p]i\.org|python[h]osted|registry\.[n]pmjs|deb\.[d]ebian"
    r"|(?<![\w.~-])/(?:[w]ork|[f]arm)/"
    r"|(?<![\w.~-])/(?:[h]ome|[U]sers)/(?!user\b|you\b|argos\b)\w"
)
"""Addresses of package registries, and folders of somebody's machine."""

REASON = r"\s+(?:\S+ )*?\w{3,}"
EXEMPTION = re.compile(
    rf"# (?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\]){REASON}"
)
"""An exemption names its rule and, after it, its reason."""

ROUTE_METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}


TRACKED = tracked_files()
SOURCES = [path for path in TRACKED if path.is_relative_to(ARGOS)]
PYTHON = [path for path in SOURCES if path.suffix == ".py"]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def _lines(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """Each line of text with its place."""
    for path in paths:
        for number, line in enumerate((_text(path) or "").splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """What each name bound by an import stands for: `datetime` → `datetime.datetime`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                names[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _full_name(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        base = _full_name(node.value, names)
        return base and f"{base}.{node.attr}"
    return None


def _uses(source: str, banned: set[str]) -> Iterator[tuple[int, str]]:
    """Line and name of each banned thing that is read or called."""
    tree = ast.parse(source)
    names = _imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = _full_name(node, names)
            if name in banned:
                yield node.lineno, name


def _clock_readers() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tidy = settings["tool"]["ruff"]["lint"]["flake8-tidy-imports"]
    return set(tidy["banned-api"])


def _idle_async_routes(source: str) -> list[str]:
    """Names of async routes that never await: they would block the event loop."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.AsyncFunctionDef)
        and any(_is_route(decorator) for decorator in node.decorator_list)
        and not any(
            isinstance(inner, ast.Await | ast.AsyncFor | ast.AsyncWith)
            for inner in ast.walk(node)
        )
    ]


def _is_route(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr in ROUTE_METHODS
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time\ntime.time()", [(2, "time.time")]),
        ("import time as t\nt.sleep(1)", [(2, "time.sleep")]),
        ("from time import sleep as nap\nnap(1)", [(2, "time.sleep")]),
        (
            "from datetime import datetime\ndatetime.now()",
            [(2, "datetime.datetime.now")],
        ),
        (
            "import datetime\nread = datetime.datetime.now",
            [(2, "datetime.datetime.now")],
        ),
        ("import random\nrandom.Random(1).random()", []),
        ("def f(time):\n    time.time()", []),
    ],
)
def test_the_search_for_clock_readers_finds_them(source, found):
    assert list(_uses(source, _clock_readers())) == found


def test_only_the_clock_module_reads_clock_and_random_numbers():
    banned = _clock_readers()
    found = [
        f"{path.relative_to(ROOT)}:{number}: {name}"
        for path in PYTHON
        if path != ARGOS / "clock.py"
        for number, name in _uses(path.read_text(), banned)
        if "noqa: TID251" not in path.read_text().splitlines()[number - 1]
    ]

    assert "time.time" in banned
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # noqa",
        "x = 1  # noqa: S101",
        "x = 1  # type: ignore",
        "x = 1  # type: ignore[misc]",
    ],
)
def test_an_exemption_without_a_rule_or_reason_is_seen(line):
    assert not EXEMPTION.search(line)


def test_each_exemption_names_its_rule_and_its_reason():
    found = [
        f"{place}: {line.strip()}"
        for place, line in _lines(PYTHON)
        if re.search(r"#\s*(noqa|type:\s*ignore)", line) and not EXEMPTION.search(line)
    ]

    assert found == []


def test_nothing_bypasses_the_escaping_of_templates():
    bypass = re.compile(r"\|\s*safe\b|\bMarkup\(|autoescape\s+false|autoescape=False")
    found = [
        f"{place}: {line}" for place, line in _lines(SOURCES) if bypass.search(line)
    ]

    assert found == []


def test_no_file_is_too_long():
    lengths = {
        str(path.relative_to(ROOT)): len(text.splitlines())
        for path in SOURCES
        if (text := _text(path)) is not None
    }
    too_long = {
        name: length
        for name, length in lengths.items()
        if length > MAX_LINES and name not in LONGER
    }

    assert too_long == {}


def test_no_tracked_file_names_a_registry_or_a_place_on_a_machine():
    found = [
        f"{place}: {line}"
        for place, line in _lines(TRACKED)
        if NEVER_TRACKED.search(line)
    ]

    assert found == []


def test_an_async_route_that_never_awaits_is_seen():
    source = "@router.get('/')\nasync def page(): return 1\n"

    assert _idle_async_routes(source) == ["page"]
    assert _idle_async_routes(source.replace("return", "await")) == []


def test_async_routes_await():
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in PYTHON
        if path.is_relative_to(ARGOS / "server" / "routes")
        for name in _idle_async_routes(path.read_text())
    ]

    assert found == []
