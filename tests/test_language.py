"""Every text that people are told has its translation, with the same values."""

import ast
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from argos.language import Phrase, texts_in
from argos.schemas.channel import Language
from tests.tree import ROOT

_CALLS = {"say": 1, "count": 2, "mark": 1, "Phrase": 1}
"""What says texts, and how many of its first arguments are such."""
TRANSLATIONS = [language.value for language in Language if language != "en"]


def _messages() -> Iterator[str | tuple[str, ...]]:
    for path in sorted((ROOT / "argos").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield from _message_of(node)


def _message_of(call: ast.Call) -> Iterator[str | tuple[str, ...]]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    count = _CALLS.get(name, 0)
    texts = [
        argument.value
        for argument in call.args[:count]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    if count and len(texts) == count:
        yield texts[0] if count == 1 else tuple(texts)


MESSAGES = set(_messages())


def _catalogue(language: str) -> Catalog:
    source = (ROOT / f"argos/locales/{language}.po").read_bytes()
    return read_po(io.BytesIO(source), locale=language, abort_invalid=True)


def _each(texts: Any) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _placeholders(texts: Any) -> list[set[str]]:
    return [set(re.findall(r"\{\w+\}", text)) for text in _each(texts)]


def test_texts_are_found():
    assert "Agents are at work again" in MESSAGES
    assert ("{number} problem", "{number} problems") in MESSAGES


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_each_text_has_its_translation_and_no_translation_is_idle(language):
    known = {message.id for message in _catalogue(language) if message.id}

    assert known == MESSAGES


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_translations_are_complete_and_hold_the_same_values(language):
    for message in _catalogue(language):
        if message.id:
            assert all(_each(message.string))
            assert _placeholders(message.string) == _placeholders(message.id)


def test_plurals_follow_the_language():
    def count(language: str, number: int) -> str:
        texts = texts_in(language)
        return texts.count("{number} problem", "{number} problems", number)

    assert [count("en", number) for number in (0, 1, 2)] == [
        "0 problems",
        "1 problem",
        "2 problems",
    ]
    assert [count("fr", number) for number in (0, 1, 2)] == [
        "0 problème",
        "1 problème",
        "2 problèmes",
    ]


def test_s80_values_are_put_in_as_they_are():
    texts = texts_in("en")

    told = texts.say("since {moment}", moment="{moment.__class__} {0} %s {agent}")

    assert told == "since {moment.__class__} {0} %s {agent}"
    assert texts.phrase(Phrase("since {moment}", {"moment": 5})) == "since 5"
