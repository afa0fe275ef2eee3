import json
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from argos.channels import expand_recipient, open_channel
from argos.channels.apprise import AppriseChannel
from argos.errors import DeliveryError


def general(**groups):
    return SimpleNamespace(
        apprise={
            name: tuple(SecretStr(url) for url in urls) for name, urls in groups.items()
        }
    )


def json_url(http_sink, path="hook"):
    return f"{http_sink.url.replace('http', 'json')}/{path}"


def test_the_notice_reaches_the_service(http_sink, notice):
    channel = open_channel("apprise:team", general(team=[json_url(http_sink)]))

    channel.send(notice)
    channel.close()

    ((path, _, body),) = http_sink.requests
    sent = json.loads(body)
    assert path.rstrip("/") == "/hook"
    assert sent["title"] == "[Argos] ❌ example.org (IPv4): status critical"
    assert "https://example.org/ (IPv4)" in sent["message"]
    assert sent["type"] == "failure"


def test_s43_nobody_is_called_by_what_a_website_says(http_sink, notice):
    calls = "@everyone @here <!channel> <@U123> ops@here.example a@b.example"
    channel = open_channel("apprise:team", general(team=[json_url(http_sink)]))

    channel.send(replace(notice, lines=(("Reason", calls),)))

    ((_, _, body),) = http_sink.requests
    said = json.loads(body)["message"]
    assert not any(f" {call}" in said for call in calls.split()[:4])
    assert all(name in said for name in calls.split()[4:])
    assert said.replace("\u200b", "").count("@everyone @here <!channel> <@U123>") == 1


def test_each_url_of_a_group_is_a_target_that_does_not_tell_it(http_sink, notice):
    configured = general(
        team=[json_url(http_sink, "canary-a"), json_url(http_sink, "b")]
    )

    targets = expand_recipient("apprise:team", configured)

    assert len(set(targets)) == 2
    assert "canary" not in "".join(targets)
    assert expand_recipient(targets[0], configured) == (targets[0],)
    open_channel(targets[1], configured).send(notice)
    assert [path.rstrip("/") for path, _, _ in http_sink.requests] == ["/b"]


def test_a_service_that_refuses_is_tried_again(http_sink, notice):
    http_sink.status = 500
    channel = open_channel("apprise:team", general(team=[json_url(http_sink)]))

    with pytest.raises(DeliveryError, match="could not deliver to the json") as caught:
        channel.send(notice)

    assert not caught.value.permanent


def test_a_url_of_no_known_service_is_given_up(notice):
    channel = open_channel("apprise:team", general(team=["canary://secret"]))

    with pytest.raises(DeliveryError, match="cannot use the canary URL") as caught:
        channel.send(notice)

    assert caught.value.permanent
    assert "secret" not in str(caught.value)


def test_s55_redirects_are_not_followed(http_sink, notice):
    http_sink.status = 302
    http_sink.headers = {"Location": f"{http_sink.url}/elsewhere"}
    channel = open_channel("apprise:team", general(team=[json_url(http_sink)]))

    with pytest.raises(DeliveryError, match="could not deliver"):
        channel.send(notice)

    assert len(http_sink.requests) == 1


def test_why_it_failed_is_told_without_the_url(notice):
    url = "json://canary-user:canary-pass@127.0.0.1:9/canary-path"
    channel = open_channel("apprise:team", general(team=[url]))

    with pytest.raises(DeliveryError) as caught:
        channel.send(notice)

    assert "Connection error" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_i26_a_service_that_hangs_is_ended_in_time(notice):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"json://127.0.0.1:{silent.getsockname()[1]}/"
        channel = AppriseChannel((url,), attempt_timeout_s=0.5)

        with pytest.raises(DeliveryError, match=r"took longer than 0\.5 s") as caught:
            channel.send(notice)

    assert not caught.value.permanent
    assert not caught.value.is_unsent


@pytest.mark.parametrize("configured", [SimpleNamespace(apprise=None), general(a=[])])
def test_d58_an_unknown_group_is_given_up(configured):
    with pytest.raises(DeliveryError) as caught:
        open_channel("apprise:team", configured)

    assert caught.value.permanent
    assert expand_recipient("apprise:team", configured) == ("apprise:team",)
