"""Websites and checks as others build them, and as 0.10.3 identifies their tasks."""

import pickle
from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from argos.schemas import Website, WebsiteCheck, WebsitePath

DOMAINS = {
    "https://example.org": "https://example.org/",
    "http://EXAMPLE.org:80/": "http://example.org/",
    "https://example.org:443/a": "https://example.org/a",
    "https://example.org:8443": "https://example.org:8443/",
    "https://éxample.org/é": "https://xn--xample-9ua.org/%C3%A9",
    "https://faß.de/": "https://xn--fa-hia.de/",
    "https://☃.net/": "https://xn--n3h.net/",
    "https://example.org/a b?c=d e#f": "https://example.org/a%20b?c=d%20e#f",
    "https://example.org/../a/./b": "https://example.org/a/b",
    "https://example.org/a/..": "https://example.org/",
    "https://example.org//a//b": "https://example.org//a//b",
    "https://example.org/a\\b": "https://example.org/a/b",
    "https://example.org/%7Eé%zz": "https://example.org/%7E%C3%A9%zz",
    "https://example.org/\ttab": "https://example.org/tab",
    "https://example.org/?é=ü": "https://example.org/?%C3%A9=%C3%BC",
    "https://example.org/?q='\"<>`{}|^": "https://example.org/?q=%27%22%3C%3E`{}|^",
    "https://example.org?x=1": "https://example.org/?x=1",
    "https://example.org#": "https://example.org/#",
    "https://user@example.org": "https://user@example.org/",
    "https://user:@example.org": "https://user@example.org/",
    "https://u:p%40ss@example.org/x?y#z": "https://u:p%40ss@example.org/x?y#z",
    "https://127.0.0.1": "https://127.0.0.1/",
    "https://0x7f.1/": "https://127.0.0.1/",
    "https://[::1]:8080/x": "https://[::1]:8080/x",
    "https://example.org./": "https://example.org./",
    "https://exa_mple.org/": "https://exa_mple.org/",
    "https:/example.org": "https://example.org/",
    "  https://example.org  ": "https://example.org/",
    "HTTPS://EXAMPLE.org/UPPER?Q#F": "https://example.org/UPPER?Q#F",
}
"""What 0.10.3 stores; the text is a part of a task's identity."""

EXPECTED = [
    ("status-is", 200, "200"),
    ("status-is", "200", "200"),
    ("status-in", [401, 301], "[401, 301]"),
    ("http-to-https", True, '{"range": [300, 400]}'),
    ("http-to-https", None, '{"range": [300, 400]}'),
    ("http-to-https", 301, '{"value": 301}'),
    ("http-to-https", [301, 302], '{"list": [301, 302]}'),
    ("http-to-https", {"stop": 308, "start": 301}, '{"range": [301, 308]}'),
    ("headers-contain", ["a"], '["a"]'),
    ("headers-have", {"é": "ü"}, '{"\\u00e9": "\\u00fc"}'),
    ("headers-like", {"a": "b|c"}, '{"a": "b|c"}'),
    ("body-contains", "é", "é"),
    ("body-contains", True, "True"),
    ("body-contains", -5, "-5"),
    ("body-like", "a.*b", "a.*b"),
    ("json-contains", ["/a"], '["/a"]'),
    ("json-has", {"/b": 1.0, "/a": None}, '{"/b": 1.0, "/a": null}'),
    ("json-like", {"/a": "b"}, '{"/a": "b"}'),
    ("json-is", '{"a":1}', '{"a":1}'),
    ("json-is", {"a": 1}, '{"a": 1}'),
    ("ssl-certificate-expiration", "on-check", "on-check"),
]


@pytest.mark.parametrize(("written", "stored"), DOMAINS.items(), ids=repr)
def test_a_domain_is_normalised_as_in_the_ancestor(written, stored):
    assert Website(domain=written, paths=()).domain == stored


@pytest.mark.parametrize(
    "domain",
    ["", "example.org", "ftp://example.org", "https://", "https://exa mple.org", None],
)
def test_a_domain_that_is_no_web_address_is_refused(domain):
    with pytest.raises(ValidationError):
        Website(domain=domain, paths=())


@pytest.mark.parametrize(("name", "value", "text"), EXPECTED, ids=repr)
def test_the_expected_value_is_encoded_as_in_the_ancestor(name, value, text):
    assert WebsiteCheck(check=name, expected=value).expected == text


def test_a_check_of_an_unknown_name_is_refused():
    with pytest.raises(
        ValidationError, match="There is no check named staus-is"
    ) as caught:
        WebsiteCheck(check="staus-is", expected="200")

    assert caught.value.error_count() == 1


def test_a_value_that_the_check_cannot_use_is_refused():
    with pytest.raises(ValidationError, match="one status code"):
        WebsiteCheck(check="status-is", expected="up")


def test_a_check_can_be_validated_as_a_part_of_other_models():
    check = TypeAdapter(WebsiteCheck).validate_python({
        "check": "status-in",
        "expected": [200, 301],
    })

    assert check == WebsiteCheck(check="status-in", expected="[200, 301]")


def test_what_a_website_leaves_out_is_inherited():
    website = Website(domain="https://example.org", paths=())

    assert website.frequency is None
    assert website.recheck_delay is None
    assert website.retry_before_notification is None
    assert (website.ipv4, website.ipv6, website.timeout) == (None, None, None)
    assert website.add_alerts_recipients is None
    assert website.overwrite_alerts_recipients is None
    assert (website.name, website.group, website.tags) == (None, None, ())


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry_before_notification": -1},
        {"timeout": timedelta(minutes=11)},
        {"timeout": timedelta(0)},
        {"name": ""},
        {"group": "a\0"},
        {"tags": ("",)},
    ],
    ids=repr,
)
def test_limits_hold_for_websites_built_by_hand_too(wrong):
    with pytest.raises(ValidationError):
        Website(domain="https://example.org", paths=(), **wrong)


def test_websites_never_change_and_can_be_keys_and_copies():
    check = WebsiteCheck(check="status-is", expected="200")
    path = WebsitePath(path="/", checks=(check,))
    website = Website(domain="https://example.org", paths=(path,))

    with pytest.raises(AttributeError):
        website.domain = "https://example.com/"  # type: ignore[misc]  # this is the point
    assert {website, pickle.loads(pickle.dumps(website))} == {website}
    assert not hasattr(check, "__dict__")
