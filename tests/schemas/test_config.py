"""The models of the config, built without a file."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from argos.core.severity import Severity
from argos.schemas import Config

GENERAL: dict[str, Any] = {
    "db": {"url": "sqlite:///argos.db"},
    "cookie_secret": "a secret",
    "frequency": timedelta(minutes=5),
    "alerts": dict.fromkeys(["ok", "warning", "critical", "unknown", "no_agent"], ()),
}


def _config(**general: Any) -> Config:
    return Config.model_validate({
        "general": GENERAL | general,
        "service": {"secrets": ["a token"]},
        "ssl": {"thresholds": ((1, Severity.CRITICAL),)},
        "recurring_tasks": {
            "max_results_age": timedelta(days=90),
            "max_lock_seconds": 100,
            "time_without_agent": 5,
        },
        "websites": (),
    })


def test_a_config_has_defaults():
    general = _config().general

    assert (general.db.pool_size, general.db.max_overflow) == (10, 20)
    assert general.env == "production"
    assert general.session_duration == timedelta(days=7)
    assert general.timeout == timedelta(seconds=30)
    assert (general.ipv4, general.ipv6, general.root_path) == (True, True, "")
    assert general.retry_before_notification == 0
    assert [
        general.remember_me_duration,
        general.unauthenticated_access,
        general.ldap,
        general.recheck_delay,
        general.base_url,
        general.mail,
        general.gotify,
        general.apprise,
    ] == [None] * 8


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///argos.db",
        "sqlite:////var/lib/argos/argos.db",
        "sqlite+pysqlite:///argos.db",
        "postgresql://argos:p%40ss@localhost:5432/argos",
        "postgresql+psycopg://argos@localhost/argos",
        "postgresql+psycopg2://argos@localhost/argos",
        "postgresql:///argos?host=/run/postgresql&user=argos",
        "postgresql://a,b/argos",
    ],
)
def test_a_database_may_be_named_in_these_ways(url):
    assert _config(db={"url": url}).general.db.url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    ["", "argos.db", "sqlite:", "sqlite://", "mysql://a/b", "postgres://a/b",
     "postgresql+asyncpg://a/b", "sqlite+aiosqlite:///a", "postgresql:a"],
)  # fmt: skip
def test_other_databases_are_refused(url):
    with pytest.raises(ValidationError, match="Argos serves sqlite and postgresql"):
        _config(db={"url": url})


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("a@example.org", "a@example.org"),
        ("Argos <a@example.org>", "a@example.org"),
        ('"Argos, the watcher" <a@example.org>', "a@example.org"),
        ("root@localhost", "root@localhost"),
        ("a+b.c@mail.example.test", "a+b.c@mail.example.test"),
        ("ü@exämple.org", "ü@exämple.org"),
    ],
)
def test_a_mail_address_is_kept_without_its_display_name(written, address):
    mail = {"mailfrom": written, "addresses": (written,)}

    settings = _config(mail=mail).general.mail

    assert settings is not None
    assert (settings.mailfrom, settings.addresses) == (address, (address,))


@pytest.mark.parametrize(
    "written", ["", "a", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "<a@b", "a@b, c@d"]
)
def test_what_is_no_mail_address_is_refused(written):
    with pytest.raises(ValidationError, match="must be an e-mail address"):
        _config(mail={"mailfrom": written, "addresses": ()})


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://argos.example.org", "https://argos.example.org"),
        ("https://Argos.example.org/", "https://argos.example.org"),
        ("http://localhost:8000/argos/", "http://localhost:8000/argos"),
    ],
)
def test_the_base_of_links_has_no_slash_at_its_end(written, kept):
    assert _config(base_url=written).general.base_url == kept


def test_a_config_never_changes():
    config = _config()

    with pytest.raises(ValidationError, match="frozen"):
        config.general.frequency = timedelta(0)  # type: ignore[misc]  # this is the point


def test_a_config_takes_no_other_keys():
    with pytest.raises(ValidationError, match="extra"):
        _config(colour="blue")


def test_an_error_does_not_show_secrets():
    with pytest.raises(ValidationError) as caught:
        _config(cookie_secret=["canary"])

    assert "canary" not in str(caught.value)
