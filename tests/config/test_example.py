"""The example config and the page of the reference name every key and check."""

import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from argos.checks import get_registered_checks
from argos.schemas import Config, Website, WebsitePath
from argos.schemas.options import Auth, BasicAuth, ClientCertificate, Options
from argos.schemas.website import RequestData
from argos.server.settings import read_config
from tests.tree import ROOT

EXAMPLE = (ROOT / "argos/config-example.yaml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/reference/config.md").read_text(encoding="utf-8")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, and in the types of their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation)
    for argument in get_args(annotation):
        yield from _models(argument)


MODELS: list[type[BaseModel]] = [
    *dict.fromkeys(_models(Config)),
    RequestData,
    Auth,
    BasicAuth,
    ClientCertificate,
]
_DATACLASSES = (Website, WebsitePath, Options)
KEYS = sorted(
    (
        {name for model in MODELS for name in model.model_fields}
        | {name for model in _DATACLASSES for name in get_type_hints(model)}
    )
    - {"options"}
)
"""The keys of `options` stand among the others."""


@pytest.mark.parametrize("key", KEYS)
def test_the_example_shows_every_key(key):
    assert re.search(rf"^[ #-]*{key}:", EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize("name", get_registered_checks())
def test_the_example_shows_every_check(name):
    assert re.search(rf"^ +(?:- )?{name}:", EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize("key", KEYS)
def test_the_reference_tells_of_every_key(key):
    assert re.search(rf"^\| `(?:\w+\.)*{key}` \|", PAGE, re.MULTILINE) or (
        re.search(rf"^## `{key}", PAGE, re.MULTILINE)
    )


def test_the_example_loads_and_only_asks_for_a_cookie_secret(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    path.chmod(0o600)

    loaded = read_config(path, strict=True, environ={})

    assert [warning.message for warning in loaded.warnings] == [
        "This `cookie_secret` stands in examples: everybody knows it."
    ]


def test_the_example_gives_no_warning_once_it_has_a_secret(tmp_path):
    path = tmp_path / "config.yaml"
    text = EXAMPLE.replace("put-a-random-text-here", "${COOKIE_SECRET}")
    path.write_text(text, encoding="utf-8")

    loaded = read_config(path, strict=True, environ={"COOKIE_SECRET": "random"})

    assert loaded.warnings == ()
    assert len(loaded.config.websites) == 2


def test_what_the_example_leaves_out_can_be_used_as_it_stands(tmp_path):
    # Comments that hold a key or an entry become just that.
    text = re.sub(
        r"^( *)# ( *(?:- |[\w-]+:(?= |$)).*)$", r"\1\2", EXAMPLE, flags=re.MULTILINE
    )
    path = tmp_path / "config.yaml"
    path.write_text(re.sub("file:\\S+", "a-secret", text), encoding="utf-8")
    path.chmod(0o600)
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "value")

    config = read_config(path, environ=environ).config

    assert config.general.mail is not None
    assert config.general.ldap is not None
    assert config.general.gotify is not None
    assert config.general.apprise is not None
    assert config.general.db.url.get_secret_value().startswith("postgresql:")
    assert config.websites[0].overwrite_alerts_recipients == ("apprise:team",)
