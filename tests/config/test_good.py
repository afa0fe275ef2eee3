"""What the files of tests/config/good mean."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from argos.core.severity import Severity
from argos.schemas import Config, Website, WebsiteCheck, WebsitePath
from argos.schemas.channel import NtfyChannelSettings, WebhookChannelSettings
from argos.schemas.config import Keep
from argos.server.settings import read_config

FOLDER = Path(__file__).parent / "good"
ENVIRON = {
    "AGENT_TOKEN": "an agent's token",
    "APPRISE_URL": "mailto://user:password@example.org",
    "COOKIE_SECRET": "a secret of the tests",
    "DATABASE_PASSWORD": "p%40ss",
    "GOTIFY_TOKEN": "a token of Gotify",
    "HOOK_URL": "https://user:password@Hooks.example.org?key=5",
    "LDAP_PASSWORD": "a password of LDAP",
    "MAIL_PASSWORD": "a password of the mail server",
    "TOPIC": "argos-7f3a",
}
MINUTE = timedelta(minutes=1)


def _read(name: str) -> Config:
    return read_config(FOLDER / f"{name}.yaml", environ=ENVIRON).config


def _expected(config: Config) -> list[str]:
    return [
        check.expected
        for website in config.websites
        for path in website.paths
        for check in path.checks
    ]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_good_file_loads_without_a_warning_even_when_strict(path):
    assert read_config(path, strict=True, environ=ENVIRON).warnings == ()


def test_the_general_section_of_the_ancestor_keeps_its_meaning():
    general = _read("ancestor").general

    url = general.db.url.get_secret_value()
    assert url == "postgresql://argos:p%40ss@localhost/argos"
    assert (general.db.pool_size, general.db.max_overflow) == (10, 0)
    assert general.env == "production"
    assert general.session_duration == timedelta(days=7)
    assert general.remember_me_duration == timedelta(days=30.5)
    assert general.unauthenticated_access == "dashboard"
    assert general.frequency == 90 * MINUTE
    assert general.recheck_delay == 1.5 * MINUTE
    assert general.retry_before_notification == 1
    assert (general.ipv4, general.ipv6) == (True, False)
    assert general.root_path == "/argos"
    assert general.timeout == timedelta(seconds=30)
    assert general.base_url is None


def test_channels_with_names_are_recipients():
    general = _read("additions").general

    hook = general.channels["tickets"]
    assert isinstance(hook, WebhookChannelSettings)
    assert hook.url == SecretStr("https://user:password@hooks.example.org/?key=5")
    assert hook.format == "alertmanager"
    assert hook.headers["Authorization"] == SecretStr("Bearer a token of Gotify")
    assert general.channels["pocket"] == NtfyChannelSettings(
        topic=SecretStr("argos-7f3a"), token=SecretStr("a token of Gotify")
    )
    assert general.channels["chat"].type == "apprise"
    assert [one.language for one in general.channels.values()][:2] == ["en", None]
    assert (general.alerts.no_agent, general.alerts.undelivered) == (
        ("night",),
        ("pocket",),
    )
    assert general.language == "fr"


def test_the_channels_of_the_ancestor_keep_their_meaning():
    general = _read("ancestor").general

    assert general.mail is not None
    assert general.mail.mailfrom == "argos@example.org"
    assert general.mail.addresses == ("one@example.org", "two@example.org")
    assert (general.mail.host, general.mail.port) == ("mail.example.org", 587)
    assert (general.mail.ssl, general.mail.starttls) == (False, True)
    assert general.mail.auth is not None
    assert general.mail.auth.password == SecretStr(ENVIRON["MAIL_PASSWORD"])
    assert general.gotify is not None
    assert general.gotify[0].url == "https://gotify.example.org/"
    assert general.gotify[0].tokens == (SecretStr(ENVIRON["GOTIFY_TOKEN"]),)
    assert general.apprise == {"team": (SecretStr(ENVIRON["APPRISE_URL"]),)}
    assert general.ldap is not None
    assert general.ldap.bind_pwd == SecretStr(ENVIRON["LDAP_PASSWORD"])
    assert general.ldap.user_filter == "(!(uid=argos))"
    assert general.alerts.by_severity == {
        Severity.OK: ("local",),
        Severity.WARNING: ("local", "mail"),
        Severity.CRITICAL: ("local", "mail", "gotify"),
        Severity.UNKNOWN: ("local", "apprise:team"),
    }
    assert general.alerts.no_agent == ("mail",)


def test_the_other_sections_of_the_ancestor_keep_their_meaning():
    config = _read("ancestor")

    assert config.service.secrets == (SecretStr(ENVIRON["AGENT_TOKEN"]),)
    assert config.ssl.thresholds == ((1, Severity.CRITICAL), (5, Severity.WARNING))
    assert config.ssl.invalid is Severity.CRITICAL
    assert config.recurring_tasks.max_results_age == timedelta(days=1)
    assert config.recurring_tasks.max_lock_seconds == 100
    assert config.recurring_tasks.time_without_agent == 5


def test_the_websites_of_the_ancestor_keep_their_meaning():
    assert _read("ancestor").websites == (
        Website(
            domain="https://User@example.org/",
            ipv4=True,
            ipv6=True,
            frequency=20 * MINUTE,
            recheck_delay=None,
            retry_before_notification=0,
            add_alerts_recipients=("apprise:team",),
            overwrite_alerts_recipients=("mail", "local"),
            paths=(
                WebsitePath(path="/", checks=()),
                WebsitePath(
                    path="/admin",
                    method="POST",
                    request_data=(
                        '{"data": {"name": "\\u00e9", "n": 1}, "json": true, '
                        '"headers": {"X-A": "b"}}'
                    ),
                    checks=(
                        WebsiteCheck(check="status-is", expected="200"),
                        WebsiteCheck(check="status-in", expected="[401, 301]"),
                        WebsiteCheck(check="http-to-https", expected=True),  # type: ignore[arg-type]  # as the config gives it
                        WebsiteCheck(
                            check="http-to-https",
                            expected={"start": 301, "stop": 308},  # type: ignore[arg-type]  # as the config gives it
                        ),
                        WebsiteCheck(
                            check="headers-have",
                            expected='{"content-encoding": "gzip"}',
                        ),
                        WebsiteCheck(
                            check="ssl-certificate-expiration", expected="on-check"
                        ),
                    ),
                ),
            ),
        ),
    )


def test_added_keys_are_read():
    config = _read("additions")

    assert config.general.timeout == timedelta(seconds=10)
    assert config.general.base_url == "https://argos.example.org/status"
    assert [*map(str, config.general.allow_includes_from)] == [
        "/srv/websites",
        "../elsewhere",
    ]
    assert config.ssl.invalid is Severity.WARNING
    assert config.results.keep is Keep.CHANGES
    assert _read("base").results.keep is Keep.ALL
    assert config.websites == (
        Website(
            domain="https://example.org/",
            name="Example",
            group="Examples",
            tags=("one", "two"),
            timeout=timedelta(seconds=5),
            recoveries_before_notification=2,
            confirm=True,
            paths=(
                WebsitePath(path="a", checks=()),
                WebsitePath(
                    path="//other.example.org:8080/[",
                    checks=(),
                    request_data='{"data": null, "json": false, "headers": null}',
                ),
            ),
        ),
    )


def test_texts_without_quotes_are_what_yaml_1_1_makes_of_them():
    assert _expected(_read("yaml-1-1"))[:12] == [
        "8",
        "1000",
        "45045",
        "31",
        "1e3",
        "010",
        "010",
        "8",
        "hello",
        "=",
        "[200, 301]",
        '{"a": "2", "b": "1"}',
    ]


def test_merges_give_way_to_what_is_written_and_to_earlier_merges():
    a, b, c = _read("yaml-1-1").websites

    assert (a.ipv6, a.name, a.tags) == (False, None, ())
    assert (b.ipv6, b.name, b.tags) == (True, "Others", ("others",))
    assert (c.ipv6, c.name, c.tags) == (None, None, ())
    assert a.paths == b.paths == c.paths


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("one-file", ["list-1", "list-2"]),
        ("star", ["hidden", "upper-a", "b", "z"]),
        ("question-mark", ["upper-a", "b", "z"]),
        ("letters", ["upper-a", "b"]),
        ("any-depth", ["hidden", "upper-a", "b", "one", "two", "z"]),
        ("any-depth-limited", ["hidden", "upper-a", "b", "z"]),
        ("any-depth-to-two", ["hidden", "upper-a", "b", "one", "two", "z"]),
        ("everything-below", ["hidden", "upper-a", "b", "one", "two", "z"]),
        ("flattened", ["list-1", "list-2", "list-3"]),
        ("flattened-with-a-mapping", ["list-1", "list-2", "b"]),
        ("list-without-depth", ["list-1", "list-2"]),
        ("entries", ["b", "upper-a"]),
        ("anchored", ["list-1", "list-2"]),
    ],
)
def test_includes_give_their_files_sorted_by_path(name, hosts):
    websites = _read(f"include-{name}").websites

    assert [website.domain for website in websites] == [
        f"https://{host}.example.org/" for host in hosts
    ]


def test_a_relative_include_starts_at_the_folder_of_the_main_file():
    (*_, last) = _read("include-flattened").websites

    assert [path.path for path in last.paths] == ["/"]
