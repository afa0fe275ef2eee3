"""Each file of tests/config/doubtful, named after what is wrong in it, and what is said of it.

They load; what is said of them are warnings.
"""

from collections import defaultdict
from pathlib import Path

import pytest

from argos.errors import ConfigError, Fault
from argos.server.settings import read_config

FOLDER = Path(__file__).parent / "doubtful"
ENVIRON = {"COOKIE_SECRET": "a secret of the tests", "EXAMPLE_SECRET": "foo_bar_baz"}

WARNINGS = r"""
checks-in-one-entry 8:13: `body-contains` has no effect: of a list entry only the first, `status-is`, counts; begin a new entry with `- `.
cookie-secret-of-an-example 4:18: This `cookie_secret` stands in examples: everybody knows it.
duration-with-a-rest 4:14: '1h 30' is read as "1h": '30' counts as nothing.
duration-with-a-rest 5:18: '1m5' is read as "1m": '5' counts as nothing.
general-without-ip parts/website.yaml:1:1: IPv4 and IPv6 are both off: this website is not watched.
website-that-stands-twice 7:5: `status-is` of https://twice.example/other stands in a website above, too: it is done once, with the settings of the first; take one of them out.
include-from-elsewhere 2:11: The folder good/websites lies outside of the config's; if that is wanted, name it in `general.allow_includes_from`.
include-with-unknown-parameter 2:52: The unknown key `maxdepth` has no effect; the known keys are `urlpath`, `flatten`.
include-without-match 2:11: No file matches 'nowhere/*.yaml'.
key-twice 5:5: `domain` stands twice in this mapping, first in line 3; only the last one counts.
lock-too-short 4:21: 60 is too low; 100 is used instead, as in 0.10.3.
lock-too-short 5:23: 0 is too low; 5 is used instead, as in 0.10.3.
own-keys
recheck-delay-without-unit 4:18: '5' has no unit and counts as nothing; write for instance "5m" (minutes).
recheck-delay-without-unit 5:25: '10' has no unit and counts as nothing; write for instance "10m" (minutes).
recipient-mistyped 6:10: 'apprise:taem' names no recipient and has no effect; did you mean `apprise:team`?
recipient-mistyped 6:24: `gotify` has no effect: `general.gotify` is not configured.
recipients-overwritten-by-none 4:34: This list is empty: nobody will hear of this website.
recipients-overwritten-by-unknown 4:35: 'nobody' names no recipient and has no effect.
recipients-unknown 4:36: `mail` has no effect: `general.mail` is not configured.
recipients-unknown 4:42: `gotify` has no effect: `general.gotify` is not configured.
recipients-unknown 4:50: 'apprise:team' names no recipient and has no effect.
recipients-unknown 4:66: 'nobody' names no recipient and has no effect.
redirect-of-a-wrong-value 7:28: This is taken for true, any redirect; write true (any redirect), a code from 300 to 399, a list of codes, or a mapping with start and stop (the first code that is too high).
redirect-of-a-wrong-value 8:28: This is taken for true, any redirect; write true (any redirect), a code from 300 to 399, a list of codes, or a mapping with start and stop (the first code that is too high).
redirect-of-a-wrong-value 9:28: This is taken for true, any redirect; write true (any redirect), a code from 300 to 399, a list of codes, or a mapping with start and stop (the first code that is too high).
section-twice 3:1: `ssl` stands twice in this mapping, first in line 2; only the last one counts.
section-twice 4:1: `ssl` stands twice in this mapping, first in line 2; only the last one counts.
status-that-never-comes 7:24: 20 is never the status code of an answer; codes are whole numbers from 100 to 599, without quotes.
text-that-is-a-truth-value 7:28: This is taken for the text “True”; put quotes around a text.
threshold-error 4:13: The severity `error` is taken for `critical`; write that.
threshold-without-unit 4:7: '5' has no unit and counts as "0d".
thresholds-in-one-entry 5:7: `1d` has no effect: of a list entry only the first, `5d`, counts; begin a new entry with `- `.
unknown-general-key 4:3: The unknown key `recheck_dealy` has no effect; did you mean `recheck_delay`?
unknown-general-key 5:3: The unknown key `colour` has no effect; the known keys are `db`, `env`, `cookie_secret`, `session_duration`, `remember_me_duration`, `unauthenticated_access`, `ldap`, `frequency`, `recheck_delay`, `retry_before_notification`, `recoveries_before_notification`, `confirm`, `locations`, `quorum`, `timeout`, `ipv4`, `ipv6`, `root_path`, `base_url`, `alerts`, `language`, `channels`, `routes`, `time_zone`, `quiet_hours`, `remind_every`, `dead_man`, `escalation`, `maintenance`, `mail`, `gotify`, `apprise`, `allow_includes_from`, `http_version`, `follow`, `tls_min`, `proxy`, `name_server`, `all_addresses`.
unknown-path-key 7:9: The unknown key `methode` has no effect; did you mean `method`?
unknown-request-key 7:24: The unknown key `json` has no effect; did you mean `is_json`?
unknown-top-level-key 2:1: The unknown key `webistes` has no effect; did you mean `websites`?
unknown-top-level-key 3:1: The unknown key `notes` has no effect; the known keys are `general`, `service`, `ssl`, `recurring_tasks`, `results`, `websites`.
website-frequency-without-unit 4:16: '5' has no unit and counts as nothing; write for instance "5m" (minutes).
website-frequency-without-unit 5:20: 'h' has no number and counts as nothing; write for instance "5m" (minutes).
website-without-ip 3:5: IPv4 and IPv6 are both off: this website is not watched.
"""

STRICT = {
    "include-from-elsewhere",
    "include-with-unknown-parameter",
    "key-twice",
    "recipient-mistyped",
    "recipients-overwritten-by-unknown",
    "recipients-unknown",
    "section-twice",
    "unknown-general-key",
    "unknown-path-key",
    "unknown-request-key",
    "unknown-top-level-key",
}
"""Files whose warnings are faults when strict."""


def _by_file(lines: str) -> dict[str, list[str]]:
    messages: dict[str, list[str]] = defaultdict(list)
    for line in lines.strip().splitlines():
        name, _, message = line.partition(" ")
        messages[name] += [message] if message else []
    return dict(messages)


def _shown(fault: Fault, path: Path) -> str:
    text = str(fault).replace(f"{path}:", "")
    return text.replace(f"{FOLDER}/", "").replace(f"{FOLDER.parent}/", "")


EXPECTED = _by_file(WARNINGS)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_doubtful_is_warned_of(name):
    path = FOLDER / f"{name}.yaml"

    loaded = read_config(path, environ=ENVIRON)

    assert [_shown(fault, path) for fault in loaded.warnings] == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(STRICT))
def test_unknown_and_repeated_keys_are_faults_when_strict(name):
    path = FOLDER / f"{name}.yaml"

    with pytest.raises(ConfigError) as caught:
        read_config(path, strict=True, environ=ENVIRON)

    assert [_shown(fault, path) for fault in caught.value.faults] == EXPECTED[name]
    assert caught.value.warnings == ()


@pytest.mark.parametrize("name", sorted(EXPECTED.keys() - STRICT))
def test_other_doubts_are_warnings_even_when_strict(name):
    path = FOLDER / f"{name}.yaml"

    loaded = read_config(path, strict=True, environ=ENVIRON)

    assert [_shown(fault, path) for fault in loaded.warnings] == EXPECTED[name]


def test_each_doubtful_file_has_its_message():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(EXPECTED)
