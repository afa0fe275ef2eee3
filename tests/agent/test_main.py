"""An agent as a whole: where it spools, and what it announces."""

import socket
from pathlib import Path

import pytest

import argos.agent
from argos.agent.client import ClientSettings
from argos.agent.main import (
    AgentSettings,
    _capabilities,
    _folder_name,
    _open_spool,
    has_ipv6_route,
)
from argos.checks import get_registered_checks
from argos.protocol import IPV6_CAPABILITY, OPTIONS_CAPABILITY


def settings(
    folder: Path | None, url: str = "https://argos.example.org"
) -> AgentSettings:
    return AgentSettings(
        client=ClientSettings(url, "token", "paris"), spool_folder=folder
    )


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://argos.example.org", "argos.example.org-"),
        ("https://Argos.Example.org:8443/argos", "argos.example.org-"),
        ("http://[::1]:8000", "__1-"),
        ("http://" + "a" * 200, "a" * 60 + "-"),
    ],
)
def test_a_server_has_a_spool_folder_that_people_recognise(
    url: str, prefix: str
) -> None:
    assert _folder_name(url).startswith(prefix)
    assert len(_folder_name(url)) == len(prefix) + 8


def test_each_server_has_a_spool_folder_of_its_own() -> None:
    urls = ["https://a.example", "http://a.example", "https://a.example/b"]

    assert len({_folder_name(url) for url in urls}) == 3
    assert _folder_name("https://a.example") == _folder_name("https://a.example/")


def test_results_that_were_left_are_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from argos.clock import utcnow

    first = _open_spool(settings(tmp_path))
    assert first is not None
    first.append([b"{}"] * 3, now=utcnow())
    first.close()

    with caplog.at_level("INFO"):
        second = _open_spool(settings(tmp_path))

    assert second is not None
    assert second.waiting == 3
    assert "Found 3 results in the spool" in caplog.text
    second.close()


def test_without_a_usable_folder_an_agent_still_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")

    assert _open_spool(settings(tmp_path / "file")) is None
    assert "Results will wait in memory" in caplog.text
    assert "--spool-dir" in caplog.text


def test_without_a_folder_nothing_is_spooled() -> None:
    assert _open_spool(settings(None)) is None


def test_checks_that_old_agents_do_not_know_are_announced() -> None:
    announced = _capabilities(False)()

    assert "response-time" in announced
    assert "status-is" not in announced
    checks = set(announced) - {OPTIONS_CAPABILITY}
    assert all(not get_registered_checks()[name].is_legacy for name in checks)
    assert OPTIONS_CAPABILITY in announced


@pytest.mark.parametrize("has_ipv6", [True, False])
def test_ipv6_is_announced_as_told(has_ipv6: bool) -> None:
    assert (IPV6_CAPABILITY in _capabilities(has_ipv6)()) is has_ipv6


def test_ipv6_is_announced_while_there_is_a_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capabilities = _capabilities(None)
    monkeypatch.setattr("argos.agent.main._FAR_AWAY", ("::1", 53))

    # The way to ourselves is no way into the internet.
    assert IPV6_CAPABILITY not in capabilities()


def test_a_machine_without_ipv6_has_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> socket.socket:
        raise OSError("Address family not supported by protocol")

    monkeypatch.setattr("socket.socket", refuse)

    assert not has_ipv6_route()


def test_the_package_offers_the_agent_and_nothing_else() -> None:
    assert argos.agent.ArgosAgent.__module__ == "argos.agent.main"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = argos.agent.Nothing
