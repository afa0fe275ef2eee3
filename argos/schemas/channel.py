"""The settings of the channels."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from argos.schemas.fields import Email, HttpURL, Secret, Text


class Section(BaseModel):
    """A part of the config; it never changes, and an error never shows its values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MailAuth(Section):
    """How to log in to the mail server."""

    login: Text
    password: Secret


class MailSettings(Section):
    """The mail server and who gets mails."""

    mailfrom: Email
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    ssl: StrictBool = False
    """TLS from the first byte on."""
    starttls: StrictBool = False
    auth: MailAuth | None = None
    addresses: tuple[Email, ...]


class GotifySettings(Section):
    """A Gotify server and the tokens of its applications."""

    url: HttpURL
    tokens: tuple[Secret, ...]
