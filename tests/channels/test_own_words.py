"""What channels make of a notice that is worded by the config."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from argos.channels import open_channel
from argos.channels.mail import MailChannel, mail_page
from argos.channels.ntfy import MAX_MESSAGE_BYTES
from argos.schemas.channel import (
    AppriseChannelSettings,
    GotifyChannelSettings,
    MailSettings,
    NtfyChannelSettings,
    WebhookChannelSettings,
)

TEXT = "**down** <b>@everyone</b>\nhttps://argos.example/acknowledge/7?k=a&b=c."


@pytest.fixture
def worded(notice):
    return replace(notice, own_title="Down: example.org", own_text=TEXT)


def send(settings, notice, sink):
    """What the sink got, as it came and as JSON."""
    channel = open_channel("team", SimpleNamespace(channels={"team": settings}))
    channel.send(notice)
    channel.close()
    ((_, headers, body),) = sink.requests
    return headers, body


def test_a_mail_is_in_the_words_of_the_config(worded):
    settings = MailSettings(mailfrom="argos@example.org", addresses=("a@example.org",))

    mail = MailChannel(settings, ("a@example.org",))._compose("a@example.org", worded)

    assert mail["Subject"] == "Down: example.org"
    plain, html = mail.iter_parts()
    assert plain.get_content() == f"{TEXT}\n"
    page = html.get_content()
    assert page == mail_page(worded)
    assert ">Down: example.org</h1>" in page
    url = "https://argos.example/acknowledge/7?k=a&amp;b=c"
    assert (
        "**down** &lt;b&gt;@everyone&lt;/b&gt;\n"
        f'<a href="{url}">{url}</a>.</div>' in page
    )
    assert "See it" not in page


def test_a_mail_without_links_has_none(worded):
    page = mail_page(replace(worded, url=None, acknowledge_url=None))

    assert "<a " not in page
    assert "https://argos.example/acknowledge/7?k=a&amp;b=c." in page


def test_gotify_shows_it_as_plain_text(http_sink, worded):
    settings = GotifyChannelSettings(url=http_sink.url, tokens=(SecretStr("t"),))

    _, body = send(settings, worded, http_sink)

    sent = json.loads(body)
    assert (sent["title"], sent["message"]) == ("Down: example.org", TEXT)
    assert sent["extras"]["client::display"] == {"contentType": "text/plain"}


def test_ntfy_shows_as_much_of_it_as_it_can(http_sink, worded):
    settings = NtfyChannelSettings(url=http_sink.url, topic=SecretStr("t"))
    long = replace(worded, own_text="line\n" * 1000)

    _, body = send(settings, worded, http_sink)
    assert json.loads(body)["title"] == "Down: example.org"
    assert json.loads(body)["message"] == TEXT

    http_sink.requests.clear()
    _, body = send(settings, long, http_sink)
    message = json.loads(body)["message"]
    assert len(message.encode()) <= MAX_MESSAGE_BYTES
    assert message.endswith("more")


def test_apprise_calls_nobody_by_it(http_sink, worded):
    url = http_sink.url.replace("http", "json")
    settings = AppriseChannelSettings(urls=(SecretStr(url),))

    _, body = send(settings, worded, http_sink)

    sent = json.loads(body)
    assert sent["title"] == "Down: example.org"
    assert sent["message"] == TEXT.replace("@everyone", "@\u200beveryone")


def test_a_webhook_posts_the_body_and_nothing_else(http_sink, notice):
    settings = WebhookChannelSettings(
        url=SecretStr(http_sink.url),
        secret=SecretStr("s"),
        headers={"content-type": SecretStr("text/plain")},
        body="{{ title }}",
    )

    headers, body = send(settings, replace(notice, own_body="é down"), http_sink)

    assert body == "é down".encode()
    assert headers["content-type"] == "text/plain"
    assert headers["argos-signature"].startswith("t=")


@pytest.mark.parametrize(
    ("headers", "is_json"),
    [
        ({}, True),
        ({"X-Token": "a"}, True),
        ({"content-type": "application/json; charset=utf-8"}, True),
        ({"Content-Type": "text/plain"}, False),
    ],
)
def test_a_webhooks_body_is_json_unless_its_headers_say_otherwise(headers, is_json):
    settings = WebhookChannelSettings(
        url=SecretStr("https://hook.example/"),
        headers={name: SecretStr(value) for name, value in headers.items()},
        body='{"title": "{{ title }}"}',
    )

    assert settings.own_words.is_json is is_json
