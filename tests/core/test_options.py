"""What agents read of the options that servers hand out."""

import base64

import pytest

from argos.core.options import (
    MAX_FOLLOWED,
    NO_OPTIONS,
    ClientCertificate,
    HTTPVersion,
    OptionsError,
    ProbeOptions,
    TLSVersion,
    check_name_server,
    check_proxy,
    read_options,
)

SECRET = "canary-7f3a"


def test_all_that_a_server_may_say_is_read():
    options = read_options({
        "http_version": "2",
        "follow": 3,
        "tls_min": "1.0",
        "auth": {"basic": {"username": "ada", "password": "pâss"}},
        "client_certificate": {"cert": "/a.pem", "password": SECRET},
        "proxy": f"http://ada:{SECRET}@192.0.2.1:3128",
        "name_server": "9.9.9.9",
        "all_addresses": True,
    })

    assert options == ProbeOptions(
        http_version=HTTPVersion.V2,
        follow=3,
        tls_min=TLSVersion.V1_0,
        authorization="Basic " + base64.b64encode("ada:pâss".encode()).decode(),
        client_certificate=ClientCertificate("/a.pem", None, SECRET),
        proxy=f"http://ada:{SECRET}@192.0.2.1:3128",
        name_server="9.9.9.9",
        all_addresses=True,
    )
    assert SECRET not in repr(options)


def test_nothing_said_is_the_usual_probe():
    assert read_options({}) == NO_OPTIONS
    assert read_options({"auth": {"bearer": "a"}}).authorization == "Bearer a"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"colour": "red", "follow": 1}, "does not know the probe option colour"),
        ({"auth": {"digest": SECRET}}, "does not know the kind of auth digest"),
        ({"http_version": "4"}, "make use of the probe option http_version"),
        ({"tls_min": "0.9"}, "the probe option tls_min"),
        ({"follow": 11}, "the probe option follow"),
        ({"follow": True}, "the probe option follow"),
        ({"all_addresses": 1}, "the probe option all_addresses"),
        ({"proxy": f"ftp://{SECRET}:1"}, "the probe option proxy"),
        ({"proxy": 5}, "the probe option proxy"),
        ({"name_server": SECRET}, "the probe option name_server"),
        ({"auth": {"basic": {"username": SECRET}}}, "the probe option auth"),
        ({"auth": {}}, "the probe option auth"),
        ({"client_certificate": {"pin": SECRET}}, "option client_certificate"),
    ],
    ids=repr,
)
def test_what_an_agent_cannot_serve_it_says_in_a_sentence(document, words):
    with pytest.raises(OptionsError, match=words) as caught:
        read_options(document)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://a.example:3128", "socks5h://u:p@192.0.2.1:1080/", "http://[::1]:8080"],
)
def test_proxies_of_both_kinds_are_known(url):
    assert check_proxy(url).port


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://a:1",
            "socks5://a:1",
            "socks4://a:1",
            "a:1",
            "http://a",
            "http://:1",
        ),
        *("http://a:b", "http://a:99999", "http://a:1/path", "http://a:1?q", ""),
    ],
)
def test_other_proxies_are_refused(url):
    with pytest.raises(ValueError, match="must b"):
        check_proxy(url)


@pytest.mark.parametrize(
    "text",
    ["9.9.9.9", "127.0.0.1:5353", "2620:fe::fe", "[2620:fe::fe]", "[2620:fe::fe]:53"],
)
def test_name_servers_are_addresses(text):
    assert check_name_server(text) == text


@pytest.mark.parametrize(
    "text", ["dns.example", "9.9.9.9:", "9.9.9.9:0", "9.9.9.9:x", "[::1", "", "1.2.3"]
)
def test_other_name_servers_are_refused(text):
    with pytest.raises(ValueError, match="must be an address"):
        check_name_server(text)


def test_s54_no_probe_follows_more_than_ten_redirects():
    assert ProbeOptions().follow == 0
    assert read_options({"follow": MAX_FOLLOWED}).follow == 10
    with pytest.raises(OptionsError, match="follow"):
        read_options({"follow": MAX_FOLLOWED + 1})
