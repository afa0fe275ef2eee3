import json
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from argos.channels import expand_recipient, open_channel
from argos.channels.http import MAX_RETRY_AFTER_S, HttpSender, refuse_metadata
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
    channel = open_channel("gotify", general((http_sink.url, ["canary-token"])))

    channel.send(notice)
    channel.close()

    ((path, headers, body),) = http_sink.requests
    assert path == "/message"
    assert headers["x-gotify-key"] == "canary-token"
    assert headers["idempotency-key"] == notice.message_id
    assert json.loads(body) == {
        "title": "❌ example.org (IPv4): status critical",
        "message": "**URL:** https://example.org/ \\(IPv4\\)\\\n"
        "**Reason:** \\*bold\\* \\<b\\> \\[x\\]\\(y\\)\\\n"
        "[See it](https://argos.example/task/7/results)\\\n"
        "[Acknowledge it](https://argos.example/acknowledge/7?k=a&b=c)",
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
    channel = open_channel("gotify", general((http_sink.url + path, ["t"])))

    channel.send(notice)
    channel.close()

    assert http_sink.requests[0][0] == "/sub/message"


def test_each_application_is_a_target_that_does_not_tell_its_token(http_sink, notice):
    configured = general((http_sink.url, ["token-1", "token-2"]))

    targets = expand_recipient("gotify", configured)

    assert len(set(targets)) == 2
    assert "token" not in "".join(targets)
    second = open_channel(targets[1], configured)
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
    channel = open_channel("gotify", general((http_sink.url, ["canary-token"])))

    with pytest.raises(DeliveryError, match=f"answered {status}") as caught:
        channel.send(notice)
    channel.close()

    assert caught.value.permanent is permanent
    assert "canary" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)
    assert len(http_sink.requests) == 1, "redirects are not followed"


def test_a_server_that_is_away_is_tried_again(notice):
    channel = open_channel("gotify", general(("http://127.0.0.1:1", ["canary"])))

    with pytest.raises(DeliveryError, match="cannot be reached") as caught:
        channel.send(notice)
    channel.close()

    assert not caught.value.permanent
    assert caught.value.is_unsent
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("1000000000", MAX_RETRY_AFTER_S),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
def test_f19_retry_after_is_read(http_sink, notice, header, seconds):
    http_sink.status = 429
    http_sink.headers = {} if header is None else {"Retry-After": header}
    channel = open_channel("gotify", general((http_sink.url, ["t"])))

    with pytest.raises(DeliveryError) as caught:
        channel.send(notice)
    channel.close()

    assert caught.value.retry_after_s == seconds


def test_s55_a_redirect_is_an_answer_that_says_what_to_do(http_sink, notice):
    http_sink.status = 307
    http_sink.headers = {"Location": "http://169.254.169.254/latest"}
    channel = open_channel("gotify", general((http_sink.url, ["t"])))

    with pytest.raises(DeliveryError, match="redirects are not followed") as caught:
        channel.send(notice)
    channel.close()

    assert caught.value.permanent
    assert "169.254" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [
        ("169.254.169.254", True),
        ("100.100.100.200", True),
        ("fd00:ec2::254", True),
        ("::ffff:169.254.169.254", True),
        ("10.0.0.7", False),
        ("127.0.0.1", False),
    ],
)
def test_s55_a_name_must_not_lead_to_a_metadata_address(address, is_refused):
    def look_up(*arguments, **options):
        return [(0, 0, 0, "", (address, 0))]

    if is_refused:
        with pytest.raises(DeliveryError, match="metadata") as caught:
            refuse_metadata("hooks.example.org", "hooks.example.org", look_up=look_up)
        assert caught.value.permanent
    else:
        refuse_metadata("hooks.example.org", "hooks.example.org", look_up=look_up)


def test_an_address_that_stands_in_the_config_is_the_admins_choice():
    refuse_metadata("169.254.169.254", "169.254.169.254")


def test_f19_an_endless_answer_ends_at_the_cap(http_sink):
    http_sink.status = 500
    http_sink.answer = b"x" * 5_000_000
    sender = HttpSender()

    with pytest.raises(DeliveryError):
        sender.post_json(http_sink.url, {})
    sender.close()


def test_without_configuration_the_recipient_is_unknown():
    with pytest.raises(DeliveryError) as caught:
        open_channel("gotify", SimpleNamespace(gotify=None))

    assert caught.value.permanent
    assert expand_recipient("gotify", SimpleNamespace(gotify=None)) == ("gotify",)


def test_a_digest_lists_its_entries(http_sink, digest):
    channel = open_channel("gotify", general((http_sink.url, ["t"])))

    channel.send(digest)
    channel.close()

    assert json.loads(http_sink.requests[0][2])["message"].split("\\\n") == [
        "❌ \\<b\\>example.org\\</b\\> critical [→](https://argos.example/task/7)",
        "✅ shop.example.org ok",
        "[See it](https://argos.example/task/7/results)",
    ]
