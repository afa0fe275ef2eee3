import json
from dataclasses import replace

from pydantic import SecretStr

from argos.channels import Entry
from argos.channels.ntfy import MAX_MESSAGE_BYTES, NtfyChannel
from argos.schemas.channel import NtfyChannelSettings


def settings(sink, **changes):
    return NtfyChannelSettings(url=sink.url, topic=SecretStr("argos-canary"), **changes)


def send(sink, notice, **changes):
    channel = NtfyChannel.open(settings(sink, **changes), "")
    channel.send(notice)
    channel.close()
    ((path, headers, body),) = sink.requests
    assert path == "/"
    return headers, json.loads(body)


def test_the_request_is_what_ntfy_expects(http_sink, notice):
    headers, body = send(http_sink, notice, token=SecretStr("tk_canary"))

    assert headers["authorization"] == "Bearer tk_canary"
    assert headers["idempotency-key"] == notice.message_id
    assert body == {
        "topic": "argos-canary",
        "title": "❌ example.org (IPv4): status critical",
        "message": "URL: https://example.org/ (IPv4)\nReason: *bold* <b> [x](y)",
        "priority": 5,
        "click": "https://argos.example/task/7/results",
        "actions": [
            {
                "action": "view",
                "label": "See it",
                "url": "https://argos.example/task/7/results",
                "clear": False,
            },
            {
                "action": "view",
                "label": "Acknowledge it",
                "url": "https://argos.example/acknowledge/7?k=a&b=c",
                "clear": False,
            },
        ],
    }


def test_a_message_stays_below_the_size_from_which_on_it_is_a_file(http_sink, digest):
    entries = tuple(Entry("❌", f"{place}.example.org é") for place in range(500))

    _, body = send(http_sink, replace(digest, entries=entries, url=None))

    lines = body["message"].split("\n")
    assert len(body["message"].encode()) <= MAX_MESSAGE_BYTES
    assert lines[-1] == f"… and {500 - len(lines) + 1} more"
    assert len(lines) > 100


def test_a_line_that_is_too_long_alone_is_cut(http_sink, notice):
    lines = (("URL", "é" * 10_000), ("Reason", "none"))

    _, body = send(http_sink, replace(notice, lines=lines))

    assert len(body["message"].encode()) in {MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES - 1}
    assert body["message"].startswith("URL: éé")


def test_without_links_there_are_no_actions(http_sink, notice):
    headers, body = send(
        http_sink, replace(notice, url=None, acknowledge_url=None, lines=())
    )

    assert "authorization" not in headers
    assert body["actions"] == []
    assert body["message"] == notice.title
    assert "click" not in body
