"""Probe options: inherited from the general to the particular, and taken back."""

import pytest

from argos.schemas.options import digest_options, options_document
from argos.server.settings import read_config
from tests.config.texts import ENVIRON, HEAD, write

SECRET = "canary-7f3a"


def read(folder, general="", website="", path=""):
    head = HEAD.replace("service:", f"{general}\nservice:")
    entry = f'- domain: "https://a.example"\n{website}\n  paths:\n  - path: /\n{path}\n'
    text = f"{head}websites:\n{entry}    checks: []\n"
    file = write(folder, config=text, secret=f"{SECRET}\n")
    file.chmod(0o600)
    (folder / "secret.yaml").chmod(0o600)
    environ = {**ENVIRON, "SECRET": SECRET, "FOLDER": str(folder)}
    return read_config(file, strict=True, environ=environ)


def document(*arguments, **more):
    config = read(*arguments, **more).config
    (website,) = config.websites
    (path,) = website.paths
    return options_document(config.general.options, website.options, path.options)


def test_without_options_there_is_no_document(tmp_path):
    assert document(tmp_path) is None


def test_what_is_nearer_to_the_path_wins(tmp_path):
    assert document(
        tmp_path,
        general="  follow: 1\n  http_version: 2\n  tls_min: 1.1",
        website="  follow: 2\n  http_version: auto",
        path="    follow: 3",
    ) == {"follow": 3, "http_version": "auto", "tls_min": "1.1"}


def test_defaults_take_back_what_would_be_inherited(tmp_path):
    assert (
        document(
            tmp_path,
            general="  follow: 1\n  http_version: 2\n  tls_min: 1.0\n"
            "  all_addresses: yes\n  name_server: 9.9.9.9",
            website="  auth: {bearer: '${SECRET}'}\n"
            "  client_certificate: {cert: /etc/a.pem}\n  name_server: agent",
            path="    follow: 0\n    http_version: 1.1\n    tls_min: 1.2\n"
            "    all_addresses: no\n    auth: none\n    client_certificate: none",
        )
        is None
    )


def test_no_proxy_is_said_for_an_agent_may_have_one(tmp_path):
    assert document(
        tmp_path, general="  proxy: 'http://192.0.2.1:3128'", path="    proxy: none"
    ) == {"proxy": "none"}


def test_secrets_come_from_files_and_variables_and_are_not_shown(tmp_path):
    where = {
        "website": "  auth: {basic: {username: ada, password: '${SECRET}'}}\n"
        "  proxy: 'http://ada:${SECRET}@192.0.2.1:3128'",
        "path": "    client_certificate:\n"
        "      {cert: /a, password: 'file:${FOLDER}/secret.yaml'}",
    }

    loaded = read(tmp_path, **where)

    assert loaded.warnings == ()
    assert SECRET not in repr(loaded)
    assert document(tmp_path, **where) == {
        "auth": {"basic": {"username": "ada", "password": SECRET}},
        "proxy": f"http://ada:{SECRET}@192.0.2.1:3128",
        "client_certificate": {"cert": "/a", "password": SECRET},
    }


@pytest.mark.parametrize("nothing", ["  auth:", "  proxy:", "  client_certificate: ~"])
def test_nothing_is_what_is_inherited(tmp_path, nothing):
    assert document(tmp_path, website=nothing) is None


def test_a_new_secret_shows_in_the_digest_of_the_websites(tmp_path):
    digests = set()
    for secret in ("one", "two"):
        loaded = read(tmp_path, website=f"  auth: {{bearer: {secret}}}")
        digests.add(loaded.digest)
        assert secret not in digest_options([loaded.config.websites[0].options])

    assert len(digests) == 2
