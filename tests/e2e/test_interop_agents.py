"""Agents and servers of Argos 0.10.3 and of ours, in every mixture."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from argos.checks import get_registered_checks
from tests.e2e.catalogue import Catalogue, Task, run_catalogue
from tests.e2e.installation import LOCK_S, Installation, make_config
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.timeout(180)  # the first one may have to install 0.10.3

RESULTS_WITHIN_S = 30


@pytest.fixture(scope="module")
def catalogue(
    nginx_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalogue]:
    """Websites for every check."""
    folder = tmp_path_factory.mktemp("catalogue") / "catalogue"
    with run_catalogue(nginx_binary, folder) as catalogue:
        yield catalogue


@pytest.fixture
def ours(catalogue: Catalogue, database_url: str, tmp_path: Path) -> Installation:
    """Our Argos, with the catalogue as its config."""
    config = make_config(catalogue.config(), database_url=database_url)
    return Installation(tmp_path / "ours", config, ca_file=catalogue.trust.file)


@pytest.fixture
def theirs(catalogue: Catalogue, ancestor: Path, tmp_path: Path) -> Installation:
    """Argos 0.10.3, with the catalogue as its config."""
    config = make_config(catalogue.config(), database_url="sqlite:///argos.db")
    return Installation(
        tmp_path / "theirs",
        config,
        command=[ancestor],
        ca_file=catalogue.trust.file,
    )


def stored(argos: Installation) -> dict[Task, str]:
    """The severity of each task that has a result."""
    rows = argos.select(
        'SELECT url, "check", expected, severity FROM tasks'
        " WHERE EXISTS (SELECT 1 FROM results WHERE task_id = tasks.id)"
    )
    return {
        (urlsplit(url).netloc, check, expected): severity
        for url, check, expected, severity in rows
    }


def contexts(argos: Installation, check: str) -> list[dict[str, object]]:
    """What is stored of a check's results that were no failures to reach the website."""
    rows = argos.select(
        "SELECT context FROM results JOIN tasks ON tasks.id = results.task_id"
        ' WHERE "check" = :check ORDER BY results.id',
        check=check,
    )
    facts = [json.loads(row) if isinstance(row, str) else row or {} for row in rows]
    return [fact for fact in facts if "error_message" not in fact]


def wait_for_all(argos: Installation, wanted: dict[Task, str]) -> None:
    wait_until(
        lambda: stored(argos).keys() == wanted.keys(),
        within_s=RESULTS_WITHIN_S,
        what="a result of each task",
    )


def reporters(argos: Installation) -> set[str]:
    return set(argos.select("SELECT DISTINCT agent_id FROM results"))


def test_the_catalogue_has_every_check_of_0_10_3(catalogue):
    wanted = {
        name for name, check in get_registered_checks().items() if check.is_legacy
    }

    assert {check for _, check, _ in catalogue.severities()} == wanted
    assert len(wanted) == 13


def count(wanted: dict[Task, str]) -> dict[str, int]:
    severities = list(wanted.values())
    return {
        severity: severities.count(severity)
        for severity in ("ok", "warning", "critical", "unknown")
    }


def test_an_agent_of_0_10_3_works_for_our_server(ours, theirs, catalogue):
    wanted = catalogue.severities(old_agent=True)
    ours.prepare()

    with ours.start_server() as server, theirs.agent("old", server_url=ours.url) as old:
        wait_for_all(ours, wanted)
        old.wait_for_line("Successfully posted results")
        # On a busy machine the counts are kept for a moment.
        wait_until(
            lambda: ours.severities() == count(wanted), within_s=60, what="the counts"
        )
        said = old.output

    assert stored(ours) == wanted
    assert reporters(ours) == {"old"}
    # A success that says no more than what was expected is stored without facts.
    assert contexts(ours, "status-is")[0] == {}
    assert "Retrying: attempt" not in said
    assert "Traceback" not in server.output


def test_our_agent_works_for_a_server_of_0_10_3(theirs, catalogue, tmp_path):
    wanted = catalogue.severities(old_server=True)
    theirs.prepare()
    ours = Installation(tmp_path / "agent", make_config([], database_url="unused"))
    arguments = ("--probe-ca-file", str(catalogue.trust.file), "--ipv6")

    with (
        theirs.start_server() as server,
        ours.agent("new", *arguments, server_url=theirs.url) as new,
    ):
        wait_for_all(theirs, wanted)
        shown = theirs.severities()
        said = new.output

    assert stored(theirs) == wanted
    assert reporters(theirs) == {"new"}
    assert shown == count(wanted)
    assert contexts(theirs, "status-is")[0] == {"expected": 200, "retrieved": 200}
    assert "Failed" not in said
    assert "Traceback" not in server.output


def test_our_agent_can_take_the_place_of_one_of_0_10_3(ours, theirs, catalogue):
    ours.prepare()
    arguments = ("--probe-ca-file", str(catalogue.trust.file), "--ipv6")

    with ours.start_server():
        with theirs.agent("old", server_url=ours.url):
            wait_for_all(ours, catalogue.severities())
        with ours.agent("new", *arguments):
            wait_until(
                lambda: stored(ours) == catalogue.severities(),
                # What the old agent held when it ended, it holds for a while.
                within_s=LOCK_S + RESULTS_WITHIN_S,
                what="what our agent sees otherwise",
            )

    assert reporters(ours) == {"old", "new"}
