"""Whether a config would be read otherwise than it was, without reading it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from argos.server.settings import read_config

MAIN = """\
general:
  db: {{url: "sqlite:///argos.db"}}
  cookie_secret: file:{secret}
  frequency: 1m
  alerts: {{ok: [], warning: [], critical: [], unknown: [], no_agent: []}}
service: {{secrets: [0123456789abcdef0123456789abcdef]}}
ssl: {{thresholds: [{{1d: critical}}]}}
recurring_tasks: {{max_results_age: 1d, max_lock_seconds: 100, time_without_agent: 5}}
websites: !include {{urlpath: "sites/**/*.yaml", maxdepth: 2, flatten: true}}
"""
SITE = """\
- domain: https://{name}.example.org
  paths:
  - path: /
    checks: [status-is: 200]
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    secret = tmp_path / "secret"
    secret.write_text("a-cookie-secret-that-nobody-knows\n")
    (tmp_path / "sites" / "more").mkdir(parents=True)
    (tmp_path / "sites" / "more" / "c.yaml").write_text(SITE.format(name="c"))
    (tmp_path / "sites" / "a.yaml").write_text(SITE.format(name="a"))
    main = tmp_path / "config.yaml"
    main.write_text(MAIN.format(secret=secret))
    return main


def add_to_main(main: Path) -> None:
    with main.open("a") as file:
        file.write("# a remark\n")


def change_include(main: Path) -> None:
    (main.parent / "sites" / "a.yaml").write_text(SITE.format(name="b"))


def add_include(main: Path) -> None:
    (main.parent / "sites" / "b.yaml").write_text(SITE.format(name="b"))


def add_include_below(main: Path) -> None:
    (main.parent / "sites" / "more" / "d.yaml").write_text(SITE.format(name="d"))


def delete_include(main: Path) -> None:
    (main.parent / "sites" / "a.yaml").unlink()


def change_secret(main: Path) -> None:
    (main.parent / "secret").write_text("another-cookie-secret-of-the-same-kind")


def delete_secret(main: Path) -> None:
    (main.parent / "secret").unlink()


@pytest.mark.parametrize(
    "change",
    [
        add_to_main,
        change_include,
        add_include,
        add_include_below,
        delete_include,
        change_secret,
        delete_secret,
    ],
)
def test_each_file_of_a_config_tells_that_it_has_changed(
    main: Path, change: Callable[[Path], None]
):
    sources = read_config(main, environ={}).sources
    before = sources.are_unchanged()

    change(main)

    assert (before, sources.are_unchanged()) == (True, False)


def test_what_is_written_anew_as_it_was_has_not_changed(main: Path):
    sources = read_config(main, environ={}).sources

    main.write_text(main.read_text())

    assert sources.are_unchanged()
