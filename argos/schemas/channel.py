"""The settings of the channels."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
)

from argos.errors import TemplateError
from argos.own_words import OwnWords, check_body, check_template
from argos.schemas.fields import Email, HttpURL, Secret, SecretURL, Text, Token


class Section(BaseModel):
    """A part of the config; it never changes, and an error never shows its values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Language(StrEnum):
    """The language of notices."""

    EN = "en"
    """English."""
    FR = "fr"
    """French."""


class MailAuth(Section):
    """How to log in to the mail server."""

    login: Text
    password: Secret


def _check_template(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        check_template(text)
    except TemplateError as err:
        raise _cannot_be_filled_in(err) from err
    return text


def _cannot_be_filled_in(err: TemplateError) -> ValueError:
    return ValueError(f"must be a template that can be filled in: {err}")


class Worded(Section):
    """What can be said in words of the config's own."""

    title: Annotated[str | None, AfterValidator(_check_template)] = None
    text: Annotated[str | None, AfterValidator(_check_template)] = None

    @property
    def own_words(self) -> OwnWords:
        """Both templates."""
        return OwnWords(self.title, self.text)


class MailSettings(Worded):
    """The mail server and who gets mails."""

    mailfrom: Email
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    ssl: StrictBool = False
    """TLS from the first byte on."""
    starttls: StrictBool = False
    auth: MailAuth | None = None
    addresses: tuple[Email, ...]
    language: Language | None = None
    """None: that of `general.language`."""


class GotifySettings(Section):
    """A Gotify server and the tokens of its applications."""

    url: HttpURL
    tokens: tuple[Secret, ...]
    language: Language | None = None


class MailChannelSettings(MailSettings):
    """A channel with a name that sends mails."""

    type: Literal["mail"] = "mail"


class GotifyChannelSettings(GotifySettings, Worded):
    """A channel with a name that posts to a Gotify server."""

    type: Literal["gotify"] = "gotify"


class AppriseChannelSettings(Worded):
    """A channel with a name that reaches what Apprise can reach."""

    type: Literal["apprise"] = "apprise"
    urls: tuple[Secret, ...]
    language: Language | None = None


class WebhookFormat(StrEnum):
    """What a webhook is sent."""

    ARGOS = "argos"
    """The documents whose schema `argos channel schema` prints."""
    ALERTMANAGER = "alertmanager"
    """What Prometheus' Alertmanager posts, in its version 4."""


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _check_headers(headers: Mapping[str, Secret]) -> Mapping[str, Secret]:
    for name, value in headers.items():
        text = value.get_secret_value()
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"cannot hold {name!a}: a header has no such name")
        if not text.isascii() or not text.isprintable():
            raise ValueError(
                f"must not hold line breaks, accents and the like, as '{name}' does"
            )
    return headers


def _is_json(headers: Mapping[str, Secret]) -> bool:
    """Whether the headers that are sent along leave it at JSON."""
    types = [
        value.get_secret_value()
        for name, value in headers.items()
        if name.lower() == "content-type"
    ]
    return all("json" in text.lower() for text in types)


class WebhookChannelSettings(Section):
    """A channel with a name that posts signed JSON to a program."""

    type: Literal["webhook"] = "webhook"
    url: SecretURL
    secret: Secret | None = None
    """Signs what is posted; None: it is not signed."""
    format: WebhookFormat = WebhookFormat.ARGOS
    headers: Annotated[Mapping[str, Secret], AfterValidator(_check_headers)] = Field(
        default_factory=dict
    )
    body: str | None = None
    """A template of what is sent; None: what `format` says."""
    language: Language | None = None

    @property
    def own_words(self) -> OwnWords:
        """The template, which takes care of JSON's quotes."""
        return OwnWords(body=self.body, is_json=_is_json(self.headers))

    @field_validator("body")
    @classmethod
    def _check_body(cls, body: str | None, info: ValidationInfo) -> str | None:
        if body is None:
            return None
        if info.data.get("format", WebhookFormat.ARGOS) is not WebhookFormat.ARGOS:
            raise ValueError("cannot stand beside a `format`: it is one of its own")
        try:
            check_body(body, as_json=_is_json(info.data.get("headers", {})))
        except TemplateError as err:
            raise _cannot_be_filled_in(err) from err
        return body


class NtfyChannelSettings(Worded):
    """A channel with a name that publishes to a topic of an ntfy server."""

    type: Literal["ntfy"] = "ntfy"
    url: HttpURL = "https://ntfy.sh/"
    topic: Token
    """Who knows it may read along: it is a secret on public servers."""
    token: Secret | None = None
    language: Language | None = None


ChannelSettings: TypeAlias = (
    MailChannelSettings
    | GotifyChannelSettings
    | AppriseChannelSettings
    | WebhookChannelSettings
    | NtfyChannelSettings
)

CHANNEL_MODELS: Mapping[str, type[ChannelSettings]] = {
    "mail": MailChannelSettings,
    "gotify": GotifyChannelSettings,
    "apprise": AppriseChannelSettings,
    "webhook": WebhookChannelSettings,
    "ntfy": NtfyChannelSettings,
}
"""The settings of each type of channel."""
