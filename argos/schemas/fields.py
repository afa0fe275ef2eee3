"""Types of config values: texts, addresses, secrets and corrected numbers."""

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
)

from argos.schemas.node import Node, ScalarNode
from argos.schemas.reader import ReadBy, read_raw, wrong_shape
from argos.schemas.reading import Reading
from argos.schemas.wording import show

_ADDRESS = r"[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+"
_EMAIL = re.compile(
    rf"\s*(?:(?:\"[^\"]*\"|[^<>\"@,]*)\s*<(?P<named>{_ADDRESS})>|(?P<bare>{_ADDRESS}))\s*"
)
_DATABASE_URL = re.compile(r"(?P<engine>sqlite|postgresql)(\+(?P<driver>\w+))?://.+")
_DRIVERS = {
    "sqlite": {None, "pysqlite"},
    "postgresql": {None, "psycopg", "psycopg2"},
}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_http_url = TypeAdapter(HttpUrl)
_whole_number = TypeAdapter(int)


def normalise_url(text: object) -> str:
    """An http or https URL as 0.10.3 stores it: host in lower case, punycode, a path.

    The text is a part of a task's identity.
    """
    return str(_http_url.validate_python(text))


def _check_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character; a database cannot store it")
    return text


def _check_email(text: str) -> str:
    match = _EMAIL.fullmatch(text)
    if match is None or not text.isprintable():
        raise ValueError(f"must be an e-mail address, not {show(text)}")
    return match["named"] or match["bare"]


def _check_database_url(url: SecretStr) -> SecretStr:
    match = _DATABASE_URL.fullmatch(url.get_secret_value())
    if match is None or match["driver"] not in _DRIVERS[match["engine"]]:
        raise ValueError(
            "must begin with sqlite:/// or postgresql://: Argos serves sqlite and "
            "postgresql"
        )
    return url


def _check_secret_url(url: SecretStr) -> SecretStr:
    """An http or https URL that must not be shown: tokens stand in it."""
    try:
        return SecretStr(normalise_url(url.get_secret_value()))
    except ValidationError as error:
        raise ValueError("must be an http or https URL") from error


def _check_token(text: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(text.get_secret_value()):
        raise ValueError("must hold letters, digits, - and _ only, at most 64")
    return text


def _drop_trailing_slash(text: str) -> str:
    return text.removesuffix("/")


def _read_secret(node: Node, reading: Reading) -> Any:
    if not isinstance(node, ScalarNode):
        raise wrong_shape(node, "a text")
    return reading.secret(node)


def _read_database_url(node: Node, reading: Reading) -> Any:
    if isinstance(node, ScalarNode) and str(node.value).startswith("sqlite:"):
        return reading.value(node)  # names a file, which is no secret
    return _read_secret(node, reading)


def at_least(minimum: int, otherwise: int) -> ReadBy:
    """A number for which 0.10.3 takes another one, in silence, when it is too low."""

    def read(node: Node, reading: Reading) -> Any:
        value = read_raw(node, reading)
        try:
            number = _whole_number.validate_python(value)
        except ValidationError:
            return value  # to be refused as any other field's
        if number >= minimum:
            return number
        reading.warn(
            node, f"{number} is too low; {otherwise} is used instead, as in 0.10.3"
        )
        return otherwise

    return ReadBy(read)


def first_counts_only(first: ScalarNode, other: ScalarNode) -> str:
    """A warning on what 0.10.3 drops in silence."""
    return (
        f"`{other.value}` has no effect: of a list entry only the first, "
        f"`{first.value}`, counts; begin a new entry with `- `"
    )


Text = Annotated[str, AfterValidator(_check_text)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_text)]
HttpURL = Annotated[str, BeforeValidator(normalise_url)]
BaseURL = Annotated[HttpURL, AfterValidator(_drop_trailing_slash)]
RootPath = Annotated[Text, AfterValidator(_drop_trailing_slash)]
Email = Annotated[str, AfterValidator(_check_email)]
"""A bare address; a display name before it is dropped."""
Secret = Annotated[SecretStr, ReadBy(_read_secret)]
"""A text, `file:/path` to one, or `${VARIABLE}`; never shown."""
DatabaseURL = Annotated[
    SecretStr, AfterValidator(_check_database_url), ReadBy(_read_database_url)
]
SecretURL = Annotated[
    SecretStr, AfterValidator(_check_secret_url), ReadBy(_read_secret)
]
Token = Annotated[SecretStr, AfterValidator(_check_token), ReadBy(_read_secret)]
"""A word for a URL's path that only some may know."""
