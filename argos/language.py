"""Texts for people in their language, out of the catalogues in `locales/`.

The English texts stand in the code and are the keys of the catalogues. A text may hold
`{name}`; what is put there is never looked into.
"""

import gettext
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

SOURCE_LANGUAGE = "en"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def mark(message: str) -> str:
    """Mark a text that is said elsewhere, so that the catalogues hold it."""
    return message


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text that is said later, in a language that is not known yet."""

    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


class Texts:
    """Says things in one language."""

    def __init__(self, translations: gettext.NullTranslations) -> None:
        self._translations = translations

    def say(self, message: str, **values: object) -> str:
        """The text in this language, with its values."""
        return _fill_in(self._translations.gettext(message), values)

    def count(self, one: str, many: str, number: int, **values: object) -> str:
        """The text for this `{number}` of things."""
        text = self._translations.ngettext(one, many, number)
        return _fill_in(text, {"number": number, **values})

    def phrase(self, phrase: Phrase) -> str:
        """What was left to be said."""
        return self.say(phrase.message, **phrase.values)


@cache
def texts_in(language: str) -> Texts:
    """What says things in a language (`en`, `fr`)."""
    if language == SOURCE_LANGUAGE:
        return Texts(gettext.NullTranslations())
    return Texts(_read_catalogue(language))


def _read_catalogue(language: str) -> gettext.GNUTranslations:
    # Loaded when somebody wants another language than English.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    source = resources.files("argos") / "locales" / f"{language}.po"
    catalogue = read_po(io.BytesIO(source.read_bytes()), locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _fill_in(text: str, values: Mapping[str, object]) -> str:
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)
