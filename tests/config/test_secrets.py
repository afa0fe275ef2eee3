"""Secrets from the environment and from files, and who else can read them."""

import pytest

from argos.errors import ConfigError
from argos.schemas.reading import MAX_SECRET_BYTES
from argos.server.settings import read_config
from tests.config.texts import ENVIRON, HEAD, write

CANARY = "canary-7f3a"


def _config(folder, secret, **texts):
    head = HEAD.replace("${COOKIE_SECRET}", secret)
    path = write(folder, config=f"{head}websites: []\n", **texts)
    path.chmod(0o600)
    return path


def _read_secret(folder, secret, environ=ENVIRON):
    loaded = read_config(_config(folder, secret), environ=environ)
    assert loaded.warnings == ()
    return loaded.config.general.cookie_secret.get_secret_value()


def _fault(folder, secret, environ=ENVIRON):
    with pytest.raises(ConfigError) as caught:
        read_config(_config(folder, secret), environ=environ)
    (fault,) = caught.value.faults
    assert (fault.line, fault.column) == (3, 18)
    return fault.message


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("${A}", "one"),
        ("${A}${B_2}", "onetwo"),
        ("<${A}>", "<one>"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A", "$A"),
        ("${}", "${}"),
        ("${a}", "${a}"),
        ("${A", "${A"),
        ("$${a}", "$${a}"),
        ("${E}", "${A}"),
        ("file:relative", "file:relative"),
    ],
)
def test_variables_in_braces_and_capitals_are_filled_in_once(tmp_path, text, secret):
    environ = {"A": "one", "B_2": "two", "E": "${A}"}

    assert _read_secret(tmp_path, text, environ) == secret


def test_a_variable_gives_numbers_durations_and_truth_values_too(tmp_path):
    head = HEAD.replace('"5m"', '"${EVERY}"\n  ipv6: "${IPV6}"\n  timeout: ${T}s')
    head = head.replace("61", '"${LOCK}"')
    path = write(tmp_path, config=f"{head}websites: []\n")
    environ = {**ENVIRON, "EVERY": "10m", "IPV6": "no", "T": "7", "LOCK": "90"}

    config = read_config(path, environ=environ).config

    assert config.general.frequency.total_seconds() == 600
    assert config.general.ipv6 is False
    assert config.general.timeout.total_seconds() == 7
    assert config.recurring_tasks.max_lock_seconds == 90


def test_a_number_from_a_variable_may_be_too_low_as_well(tmp_path):
    head = HEAD.replace("61", '"${LOCK}"')
    path = write(tmp_path, config=f"{head}websites: []\n")

    loaded = read_config(path, environ={**ENVIRON, "LOCK": "60"})

    assert loaded.config.recurring_tasks.max_lock_seconds == 100
    assert [warning.message for warning in loaded.warnings] == [
        "60 is too low; 100 is used instead, as in 0.10.3."
    ]


def test_variables_reach_request_data_but_not_what_a_check_looks_for(tmp_path):
    text = """websites:
  - domain: "https://${HOST}"
    paths:
      - path: "/${HOST}"
        request_data:
          data: {"${KEY}": ["${HOST}"]}
          headers: {Authorization: "Bearer ${HOST}"}
        checks: [body-contains: "${HOST}", json-has: {/a: "${HOST}"}]
"""
    path = write(tmp_path, config=HEAD + text)

    (website,) = read_config(path, environ={**ENVIRON, "HOST": "e.org"}).config.websites

    (target,) = website.paths
    assert (website.domain, target.path) == ("https://e.org/", "/e.org")
    assert target.request_data == (
        '{"data": {"${KEY}": ["e.org"]}, "json": false, '
        '"headers": {"Authorization": "Bearer e.org"}}'
    )
    assert [check.expected for check in target.checks] == [
        "${HOST}",
        '{"/a": "${HOST}"}',
    ]


def test_a_secret_may_stand_in_a_file(tmp_path):
    file = tmp_path / "secret"
    file.write_text(f"{CANARY}\r\n")
    file.chmod(0o640)

    assert _read_secret(tmp_path, f"file:{file}") == CANARY
    assert _read_secret(tmp_path, f"file://{file}") == CANARY
    assert _read_secret(tmp_path, "file:${F}", {"F": str(file)}) == CANARY


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"\xff", "it is not UTF-8 text"),
        (b"a" * (MAX_SECRET_BYTES + 1), "it is too large"),
    ],
    ids=["empty", "line break", "binary", "huge"],
)
def test_a_file_without_a_usable_secret_is_refused(tmp_path, content, reason):
    file = tmp_path / "secret"
    file.write_bytes(content)

    assert _fault(tmp_path, f"file:{file}") == (
        f"`cookie_secret` cannot be read from {file}: {reason}."
    )


def test_a_folder_is_no_secret(tmp_path):
    assert _fault(tmp_path, f"file:{tmp_path}") == (
        f"`cookie_secret` cannot be read from {tmp_path}: it is no regular file."
    )


def test_a_secret_that_everybody_can_read_is_warned_of(tmp_path):
    file = tmp_path / "secret"
    file.write_text(CANARY)
    file.chmod(0o644)

    loaded = read_config(_config(tmp_path, f"file:{file}"), environ={})

    assert [warning.message for warning in loaded.warnings] == [
        f"Every user of this machine can read the secret in {file}."
    ]


def test_a_config_that_everybody_can_read_is_warned_of_when_it_holds_secrets(tmp_path):
    path = _config(tmp_path, CANARY)
    path.chmod(0o644)

    (warning,) = read_config(path, environ={}).warnings

    assert str(warning) == (
        f"{path}: Every user of this machine can read this file, and it holds secrets; "
        "take that right away (chmod o-r) or move the secrets out of it."
    )


def test_an_included_file_with_secrets_is_warned_of_too(tmp_path):
    head = HEAD.replace("{secrets: []}", "{secrets: !include tokens.yaml}")
    path = write(tmp_path, config=f"{head}websites: []\n", tokens=f"- {CANARY}\n")
    (tmp_path / "tokens.yaml").chmod(0o604)

    (warning,) = read_config(path, environ=ENVIRON).warnings

    assert warning.file == str(tmp_path / "tokens.yaml")


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@h/d", "postgresql+psycopg:///d?password=p"]
)
def test_the_url_of_a_database_server_is_a_secret(tmp_path, url):
    path = write(
        tmp_path, config=HEAD.replace("sqlite:///argos.db", url) + "websites: []\n"
    )
    path.chmod(0o644)

    assert len(read_config(path, environ=ENVIRON).warnings) == 1


def test_a_file_that_others_cannot_read_may_hold_secrets(tmp_path):
    assert _read_secret(tmp_path, CANARY, {}) == CANARY


def test_no_secret_is_shown(tmp_path):
    mail = (
        f"{{mailfrom: a@b.org, addresses: [], auth: {{login: a, password: {CANARY}}}}}"
    )
    head = HEAD.replace("${COOKIE_SECRET}", CANARY).replace(
        "  alerts:",
        f"  mail: {mail}\n  apprise: {{team: [{CANARY}]}}\n"
        f"  gotify: [{{url: https://g.org, tokens: [{CANARY}]}}]\n"
        f"  ldap: {{uri: a, user_tree: b, user_attr: c, bind_pwd: {CANARY}}}\n"
        "  alerts:",
    )
    head = head.replace("sqlite:///argos.db", f"postgresql://a:{CANARY}@b/c")
    head = head.replace("secrets: []", f"secrets: [{CANARY}]")
    path = write(tmp_path, config=f"{head}websites: []\n")

    loaded = read_config(path, environ={})

    assert CANARY not in repr(loaded)
    assert CANARY not in loaded.config.model_dump_json()


@pytest.mark.parametrize(
    "line",
    [
        f"  db: {{url: 'mysql://u:{CANARY}@h/d'}}",
        f"  db: {{url: [{CANARY}]}}",
        f"  cookie_secret: {{a: {CANARY}}}",
        f"  base_url: https://u:{CANARY}@exa mple.org",
        f"  base_url: 'https://u:{CANARY}@[bad'",
        f"  gotify: [{{url: 'https://u:{CANARY}@', tokens: [{{{CANARY}: {CANARY}}}]}}]",
        f"  apprise: {{a: {CANARY}}}",
    ],
)
def test_a_fault_never_shows_a_secret(tmp_path, line):
    path = write(
        tmp_path,
        config=f"{HEAD}x:\nwebsites: []\n".replace("service:", f"{line}\nservice:"),
    )

    with pytest.raises(ConfigError) as caught:
        read_config(path, environ=ENVIRON)

    assert caught.value.faults
    assert CANARY not in str(caught.value)
