"""A running server takes over a changed config, and keeps the old one when it must."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from argos.errors import ConfigError, MassRemovalRefused
from argos.server.models import Task
from argos.server.services.config_watch import LOOK_INTERVAL, ConfigWatch
from argos.server.services.reconcile import reconcile
from argos.server.settings import LoadedConfig, read_config

WEBSITE = {
    "domain": "https://example.org",
    "paths": [{"path": "/", "checks": [{"status-is": 200}]}],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


@pytest.fixture
def reads() -> list[Path]:
    """The config files that were read, parsed and all."""
    return []


@pytest.fixture
def make_watch(database, clock, path, reads) -> Callable[[LoadedConfig], ConfigWatch]:
    def read(path: Path) -> LoadedConfig:
        reads.append(path)
        return read_config(path, environ={})

    def make(loaded: LoadedConfig) -> ConfigWatch:
        return ConfigWatch(loaded, database=database, clock=clock, read=read, path=path)

    return make


@pytest.fixture
def watch(
    make_watch: Callable[[LoadedConfig], ConfigWatch], loaded: LoadedConfig
) -> ConfigWatch:
    watch = make_watch(loaded)
    watch.look()
    return watch


@pytest.fixture
def change(make_loaded, database, clock) -> Callable[..., None]:
    """Changes the file; applies it as another process does, if told so."""

    def change(*, is_applied: bool = True, **changes: Any) -> None:
        clock.move(seconds=10)
        loaded = make_loaded(**changes)
        if is_applied:
            reconcile(database, loaded, now=clock.now)

    return change


def secrets(watch: ConfigWatch) -> list[str]:
    return [secret.get_secret_value() for secret in watch.config.service.secrets]


def test_config_that_another_process_applied_is_taken_over(watch, change):
    change(service__secrets=["new"], websites=[WEBSITE])

    watch.look()

    assert secrets(watch) == ["new"]


def test_settings_that_are_not_about_tasks_are_taken_over_too(watch, change):
    change()
    watch.look()
    change(service__secrets=["new"])

    watch.look()

    assert secrets(watch) == ["new"]


def test_file_that_nobody_applied_is_not_read(watch, change):
    before = secrets(watch)

    change(is_applied=False, service__secrets=["new"])
    watch.look()

    assert secrets(watch) == before


def test_nor_is_it_after_another_one_was_applied(watch, change):
    change(service__secrets=["new"])
    watch.look()

    change(is_applied=False, service__secrets=["newer"])
    watch.look()

    assert secrets(watch) == ["new"]


def test_nor_is_it_after_a_job_here(watch, make_loaded, change, path):
    make_loaded(service__secrets=["new"])
    watch.apply(str(path))

    change(is_applied=False, service__secrets=["newer"])
    watch.look()

    assert secrets(watch) == ["new"]


def test_nor_is_it_when_the_server_has_just_begun(make_watch, change, make_loaded):
    change(service__secrets=["new"])
    watch = make_watch(make_loaded(service__secrets=["new"]))

    change(is_applied=False, service__secrets=["newer"])
    watch.look()

    assert secrets(watch) == ["new"]


def test_looks_are_some_seconds_apart(watch, change, clock):
    change(service__secrets=["new"], websites=[WEBSITE])
    watch.look()
    change(service__secrets=["newer"], websites=[])
    clock.now -= timedelta(seconds=10) - LOOK_INTERVAL / 2

    watch.look()
    before = secrets(watch)
    clock.now += LOOK_INTERVAL / 2
    watch.look()

    assert (before, secrets(watch)) == (["new"], ["newer"])


def test_a_clock_that_was_set_back_keeps_nobody_from_looking(watch, change, clock):
    clock.move(days=1)
    watch.look()
    clock.move(days=-1)
    change(service__secrets=["new"])

    watch.look()

    assert secrets(watch) == ["new"]


def test_file_that_another_process_applied_unchanged_is_not_read(
    watch, change, reads, clock
):
    change(service__secrets=["new"])
    watch.look()
    change(service__secrets=["new"])
    watch.look()
    change(service__secrets=["newer"])
    watch.look()

    assert len(reads) == 2
    assert secrets(watch) == ["newer"]


def test_what_a_job_applied_here_is_read_once(watch, make_loaded, reads, path, clock):
    make_loaded(service__secrets=["new"], websites=[WEBSITE])

    watch.apply(str(path))
    clock.move(seconds=10)
    watch.look()
    watch.apply(str(path))

    assert reads == [path]
    assert secrets(watch) == ["new"]


def test_what_others_apply_after_a_job_here_is_read(watch, make_loaded, change, path):
    make_loaded(service__secrets=["new"])
    watch.apply(str(path))
    change(service__secrets=["newer"])

    watch.look()

    assert secrets(watch) == ["newer"]


def test_broken_file_leaves_the_config_in_force_and_is_logged(
    watch, change, path, caplog
):
    before = secrets(watch)
    change(websites=[WEBSITE])
    path.write_text("general: {")

    watch.look()

    assert secrets(watch) == before
    assert "The changed config cannot be used; the former stays" in caplog.text


def test_job_applies_a_config_to_tasks_and_process(watch, make_loaded, database, path):
    make_loaded(service__secrets=["new"], websites=[WEBSITE], general__ipv6=False)

    watch.apply(str(path))

    assert secrets(watch) == ["new"]
    with database.reading() as session:
        assert session.scalars(select(Task.url)).all() == ["https://example.org/"]


def test_job_with_a_broken_config_changes_nothing(watch, path, database):
    before = secrets(watch)
    path.write_text("[]")

    with pytest.raises(ConfigError):
        watch.apply(str(path))

    assert secrets(watch) == before
    with database.reading() as session:
        assert session.scalars(select(Task)).all() == []


def test_job_that_would_remove_most_tasks_changes_nothing(watch, make_loaded, path):
    websites = [WEBSITE | {"domain": f"https://{n}.example.org"} for n in range(12)]
    make_loaded(service__secrets=["new"], websites=websites)
    watch.apply(str(path))
    make_loaded(service__secrets=["newer"])

    with pytest.raises(MassRemovalRefused):
        watch.apply(str(path))

    assert secrets(watch) == ["new"]


def test_job_may_name_another_file_which_is_watched_from_then_on(
    watch, make_loaded, change, path, tmp_path
):
    make_loaded(service__secrets=["new"])
    other = path.rename(tmp_path / "other.yaml")
    make_loaded()  # where it was is what is in force

    watch.apply(str(other))
    before = secrets(watch)
    change(service__secrets=["newer"])
    path.rename(other)
    watch.look()

    assert (before, secrets(watch)) == (["new"], ["newer"])


def test_what_is_doubtful_in_a_changed_config_is_logged(watch, change, caplog):
    change(general__colour="blue")

    watch.look()

    assert "colour" in caplog.text
