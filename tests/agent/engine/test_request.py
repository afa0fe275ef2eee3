"""What is sent for a probe, and which probes are refused."""

import pytest

from argos.agent.engine.request import (
    MAX_URL_LENGTH,
    ProbeRefusedError,
    prepare_request,
)
from argos.core.probe import Probe

AGENT = "Argos/test"


def prepare(url: str = "http://example.org/", **more):
    return prepare_request(Probe(url, **more), user_agent=AGENT)


URLS = [
    ("http://example.org", "http://example.org/"),
    ("HTTP://Example.ORG/A", "http://example.org/A"),
    ("http://example.org:80/", "http://example.org/"),
    ("https://example.org:443/", "https://example.org/"),
    ("https://example.org:80/", "https://example.org:80/"),
    ("http://example.org:/", "http://example.org/"),
    ("http://example.org?q=1", "http://example.org/?q=1"),
    ("http://example.org/a b", "http://example.org/a%20b"),
    ("http://example.org/é", "http://example.org/%C3%A9"),
    ("http://example.org/%C3%A9%zz", "http://example.org/%C3%A9%zz"),
    ("http://example.org/a?b=c d&e=ü", "http://example.org/a?b=c%20d&e=%C3%BC"),
    ("http://example.org/a#b", "http://example.org/a"),
    ("http://example.org/\ud800", "http://example.org/?"),
    ("http://example.org/a\\b", "http://example.org/a%5Cb"),
    ("http://user:pass@example.org/", "http://example.org/"),
    ("http://a@b@example.org/", "http://example.org/"),
    ("http://example.org./", "http://example.org./"),
    ("http://my_host/", "http://my_host/"),
    ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    ("http://EXAMPLE。org/", "http://example.org/"),
    ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
    ("http://[::1]/", "http://[::1]/"),
    ("http://[0:0:0:0:0:0:0:1]:81/", "http://[::1]:81/"),
    ("http://[2001:DB8::A]/", "http://[2001:db8::a]/"),
]


@pytest.mark.parametrize(("url", "sent"), URLS)
def test_url_is_sent_in_one_canonical_form(url, sent):
    assert prepare(url).url == sent


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "javascript:alert(1)",
        "example.org",
        "",
        "http:/example.org",
        "http://",
        "http:///path",
        "http://@/",
        "http://exa mple.org/",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://example.org:8a/",
        "http://example.org:-1/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[::1]evil.example/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://1.2.3.4.5/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://example.org\\@evil.example/",
        "http://a..b/",
        "http://-a-.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 130 + "example/",
        "http://exam%70le.org/",
        "http://example.org/\r\nHost: evil",
        "http://example.org/\x00",
        "http://example.org/\t",
        "http://example.org/" + "a" * MAX_URL_LENGTH,
        "http://\u2488.example/",
    ],
)
def test_url_that_could_be_read_in_two_ways_is_refused(url):
    with pytest.raises(ProbeRefusedError) as refusal:
        prepare(url)

    assert str(refusal.value).isprintable()


def test_literal_address_is_known_as_one():
    assert str(prepare("http://[::1]:81/").address) == "::1"
    assert prepare("http://localhost/").address is None


def test_own_headers_are_sent_and_can_be_replaced():
    request = prepare(headers={"user-agent": "mine", "X-A": "b", "Accept": ""})

    assert request.headers == (
        ("user-agent", "mine"),
        ("Accept", ""),
        ("Accept-Encoding", "gzip, deflate"),
        ("Connection", "close"),
        ("X-A", "b"),
    )


def test_user_and_password_of_the_url_become_a_header():
    request = prepare("http://us%C3%A9r:p%40ss@example.org/")

    assert ("Authorization", "Basic dXPDqXI6cEBzcw==") in request.headers
    assert "p%40ss" not in repr(request.url)


def test_given_authorization_wins_over_the_url():
    headers = {"Authorization": "Bearer x"}

    request = prepare("http://user:pass@example.org/", headers=headers)

    assert [value for name, value in request.headers if name == "Authorization"] == [
        "Bearer x"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-Evil: 1"),
        ("X-A", "a\nb"),
        ("X-A", "a\x00b"),
        ("X-A", "\x1b[31m"),
        ("X-A", "\ud800"),
        ("X-A\r\nX-Evil", "1"),
        ("X A", "1"),
        ("X-A:", "1"),
        ("", "1"),
        ("Transfer-Encoding", "chunked"),
    ],
)
def test_header_that_would_break_the_request_is_refused(name, value):
    with pytest.raises(ProbeRefusedError) as refusal:
        prepare(headers={name: value})

    assert str(refusal.value).isprintable()


def test_length_is_left_to_the_engine():
    request = prepare(method="POST", headers={"Content-Length": "5"}, body=b"abc")

    assert "content-length" not in {name.lower() for name, _ in request.headers}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_method_that_carries_data_sends_an_empty_body_when_there_is_none(method):
    assert prepare(method=method).body == b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_send_no_body_unasked(method):
    assert prepare(method=method).body is None


@pytest.mark.parametrize(
    ("method", "body", "says"),
    [
        ("CONNECT", None, "tunnel"),
        ("BREW", None, "unknown"),
        ("get", None, "unknown"),
        ("GET / HTTP/1.1\r\nX:", None, "unknown"),
        ("HEAD", b"data", "cannot carry data"),
    ],
)
def test_method_that_cannot_be_probed_is_refused(method, body, says):
    with pytest.raises(ProbeRefusedError, match=says) as refusal:
        prepare(method=method, body=body)

    assert str(refusal.value).isprintable()
