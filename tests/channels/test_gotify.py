import json
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from argos.channels import expand_recipient
from argos.channels.gotify import GotifyChannel
from argos.channels.http import HttpSender
from argos.errors import DeliveryError
from argos.schemas.channel import GotifySettings


def general(*servers):
    return SimpleNamespace(
        gotify=tuple(
            GotifySettings(url=url, tokens=tuple(map(SecretStr, tokens)))
            for url, tokens in servers
        )
    )


def test_the_request_is_what_gotify_expects(http_sink, notice):
    channel = GotifyChannel.open(general((http_sink.url, ["canary-token"])), "")

    channel.send(notice)
    channel.close()

    ((path, headers, body),) = http_sink.requests
    assert path == "/message"
    assert headers["x-gotify-key"] == "canary-token"
    assert json.loads(body) == {
        "title": "❌ example.org (IPv4): status critical",
        "message": "**URL:** https://example.org/ \\(IPv4\\)\\\n"
        "**Reason:** \\*bold\\* \\<b\\> \\[x\\]\\(y\\)\\\n"
        "[See it](https://argos.example/task/7/results)",
        "priority": 9,
        "extras": {
            "client::display": {"contentType": "text/markdown"},
            "client::notification": {
                "click": {"url": "https://argos.example/task/7/results"}
            },
        },
    }


@pytest.mark.parametrize("path", ["/sub", "/sub/"])
def test_d57_a_server_below_a_path_is_reached(http_sink, notice, path):
    channel = GotifyChannel.open(general((http_sink.url + path, ["t"])), "")

    channel.send(notice)
    channel.close()

    assert http_sink.requests[0][0] == "/sub/message"


def test_each_application_is_a_target_that_does_not_tell_its_token(http_sink, notice):
    configured = general((http_sink.url, ["token-1", "token-2"]))

    targets = expand_recipient("gotify", configured)

    assert len(set(targets)) == 2
    assert "token" not in "".join(targets)
    second = GotifyChannel.open(configured, targets[1].partition(":")[2])
    second.send(notice)
    second.close()
    assert [headers["x-gotify-key"] for _, headers, _ in http_sink.requests] == [
        "token-2"
    ]


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (401, True),
        (404, True),
        (302, True),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_refusals(http_sink, notice, status, permanent):
    http_sink.status = status
    http_sink.answer = b"no\x1b[31m" + b"!" * 100_000
    channel = GotifyChannel.open(general((http_sink.url, ["canary-token"])), "")

    with pytest.raises(DeliveryError, match=f"answered {status}") as caught:
        channel.send(notice)
    channel.close()

    assert caught.value.permanent is permanent
    assert "canary" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)
    assert len(http_sink.requests) == 1, "redirects are not followed"


def test_a_server_that_is_away_is_tried_again(notice):
    channel = GotifyChannel.open(general(("http://127.0.0.1:1", ["canary"])), "")

    with pytest.raises(DeliveryError, match="cannot be reached") as caught:
        channel.send(notice)
    channel.close()

    assert not caught.value.permanent
    assert "canary" not in str(caught.value)


def test_f19_an_endless_answer_ends_at_the_cap(http_sink):
    http_sink.status = 500
    http_sink.answer = b"x" * 5_000_000
    sender = HttpSender()

    with pytest.raises(DeliveryError):
        sender.post_json(http_sink.url, {})
    sender.close()


def test_without_configuration_the_recipient_is_unknown():
    with pytest.raises(DeliveryError) as caught:
        GotifyChannel.open(SimpleNamespace(gotify=None), "")

    assert caught.value.permanent
    assert expand_recipient("gotify", SimpleNamespace(gotify=None)) == ("gotify",)
