"""Probe options in the config: general ones, and what websites and paths say instead."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr
from pydantic.dataclasses import dataclass

from argos.core.options import (
    DEFAULT_HTTP_VERSION,
    DEFAULT_TLS_MIN,
    MAX_FOLLOWED,
    NO_PROXY,
    HTTPVersion,
    TLSVersion,
    check_name_server,
    check_proxy,
)
from argos.schemas.channel import Section
from argos.schemas.fields import Secret, Text
from argos.schemas.node import Node, Refused, ScalarNode
from argos.schemas.reader import ReadBy, model_reader, read_raw, wrong_shape
from argos.schemas.reading import Reading

NONE = "none"
"""Undoes what a website, or `general`, says."""
AGENTS_OWN = "agent"
"""The same for a name server."""

_DEFAULTS = {
    "http_version": DEFAULT_HTTP_VERSION,
    "tls_min": DEFAULT_TLS_MIN,
    "follow": 0,
    "all_addresses": False,
    "name_server": AGENTS_OWN,
    "auth": NONE,
    "client_certificate": NONE,
}
"""What an agent does anyway, and is not told."""


def _read_version(node: Node, reading: Reading) -> Any:
    """The reader of version numbers: in YAML, 2 is a whole number and 1.1 another one."""
    value = read_raw(node, reading)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _read_proxy(node: Node, reading: Reading) -> Any:
    """The reader of proxies; only one with a password in it is a secret."""
    if not isinstance(node, ScalarNode):
        raise wrong_shape(node, "a text")
    value = reading.value(node)
    # Nothing at all is what is inherited.
    return reading.secret(node) if _may_be_secret(value) else value


def _may_be_secret(value: object) -> bool:
    return isinstance(value, str) and ("@" in value or value.startswith("file:"))


def _check_name_server(text: str) -> str:
    return text if text == AGENTS_OWN else check_name_server(text)


def _check_proxy(url: SecretStr) -> SecretStr:
    if url.get_secret_value() != NO_PROXY:
        check_proxy(url.get_secret_value())
    return url


def _check_path(text: str) -> str:
    if not PurePath(text).is_absolute() or "\0" in text:
        raise ValueError("must be a whole path, from / on, on the machine of the agent")
    return text


def _check_user(name: str) -> str:
    if ":" in name:
        raise ValueError("must not hold a colon")
    return name


AgentPath = Annotated[str, AfterValidator(_check_path)]


class BasicAuth(Section):
    """A name and a password, as HTTP's Basic scheme has them."""

    username: Annotated[Text, AfterValidator(_check_user)]
    password: Secret


class Auth(Section):
    """How a probe says who it is."""

    basic: BasicAuth | None = None
    bearer: Secret | None = None


class ClientCertificate(Section):
    """How a probe shows, in the handshake, who it is."""

    cert: AgentPath
    key: AgentPath | None = None
    password: Secret | None = None


def _or_none(model: type[Section]) -> ReadBy:
    """The reader of a section that `none` takes back."""
    read_section = model_reader(model)

    def read(node: Node, reading: Reading) -> Any:
        if isinstance(node, ScalarNode) and node.value in {None, NONE}:
            return node.value
        section = read_section(node, reading)
        if isinstance(section, Auth) and (section.basic is None) == (
            section.bearer is None
        ):
            raise Refused(node, "must have either `basic` or `bearer`")
        return section

    return ReadBy(read)


@dataclass(frozen=True, slots=True)
class GeneralOptions:
    """What all probes are like; None: the default."""

    http_version: Annotated[HTTPVersion | None, ReadBy(_read_version)] = None
    follow: Annotated[int, Field(ge=0, le=MAX_FOLLOWED)] | None = None
    tls_min: Annotated[TLSVersion | None, ReadBy(_read_version)] = None
    proxy: Annotated[
        Annotated[SecretStr, AfterValidator(_check_proxy)] | None, ReadBy(_read_proxy)
    ] = None
    name_server: Annotated[str, AfterValidator(_check_name_server)] | None = None
    all_addresses: bool | None = None


@dataclass(frozen=True, slots=True)
class Options(GeneralOptions):
    """What the probes of a website, or of a path, are like; None: inherited."""

    auth: Annotated[Any, _or_none(Auth)] = None
    client_certificate: Annotated[Any, _or_none(ClientCertificate)] = None


def options_document(*levels: GeneralOptions | None) -> dict[str, Any] | None:
    """What a task says of its probe, from the general to the particular, with secrets.

    None where nothing differs from what an agent does anyway.
    """
    said: dict[str, Any] = {}
    for options in levels:
        if options is not None:
            said |= dict(_said(options))
    wanted = {k: v for k, v in said.items() if v != _DEFAULTS.get(k)}
    return wanted or None


def digest_options(levels: Iterable[GeneralOptions | None]) -> str:
    """The same for the same options; a secret's change shows in it, the secret not."""
    documents = [options and dict(_said(options)) for options in levels]
    if not any(documents):
        return ""
    return hashlib.sha256(json.dumps(documents).encode()).hexdigest()


def _said(options: GeneralOptions) -> Iterator[tuple[str, Any]]:
    for name in type(options).__dataclass_fields__:
        value = getattr(options, name)
        if value is not None:
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Section):
        pairs = ((name, getattr(value, name)) for name in type(value).model_fields)
        return {name: _plain(inner) for name, inner in pairs if inner is not None}
    return value.value if isinstance(value, StrEnum) else value
