"""Templates of the config: what they are filled in with, and what they cannot do."""

import json

import pytest

from argos.errors import TemplateError
from argos.own_words import (
    SAMPLE,
    SAMPLE_DIGEST,
    check_body,
    check_template,
    fill_in,
    fill_in_anyhow,
)

HOSTILE = {**SAMPLE, "title": 'a "b" \\ \n{{ 7 * 7 }} <b>', "events": []}


def test_a_template_sees_the_document_and_the_only_event():
    source = (
        "{{ severity | upper }} {{ event.name or event.website }}, {{ event.reason }}"
    )

    assert fill_in(source, SAMPLE) == 'CRITICAL Company, It says "no".'


def test_of_several_events_there_is_no_single_one():
    source = "{% if event %}{{ event.check }}{% else %}{{ events | length }}{% endif %}"

    assert fill_in(source, SAMPLE) == "status-is"
    assert fill_in(source, SAMPLE_DIGEST) == "2"
    with pytest.raises(TemplateError, match="'None' has no attribute 'check'"):
        fill_in("{{ event.check }}", SAMPLE_DIGEST)


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_not_known_is_nothing(as_json):
    assert fill_in('"by {{ agent }}{{ event.parent }}"', SAMPLE, as_json=as_json) == (
        '"by "'
    )


def test_what_a_website_says_is_text_and_no_template():
    assert fill_in("{{ title }}", HOSTILE) == HOSTILE["title"]


@pytest.mark.parametrize(
    "source",
    [
        '{"text": "{{ title }}", "urgent": {{ severity == "critical" }}, "n": {{ agent | tojson }}}',
        '{"text": {{ title | tojson }}, "urgent": {{ true | tojson }}, "n": null}',
    ],
)
def test_in_json_texts_keep_within_their_quotes(source):
    assert json.loads(fill_in(source, HOSTILE, as_json=True)) == {
        "text": HOSTILE["title"],
        "urgent": True,
        "n": None,
    }


def test_a_body_has_gaps_where_there_is_no_single_event():
    source = '{"text": "{{ title }}", "check": "{{ event.check }}"}'

    filled = fill_in_anyhow(source, SAMPLE_DIGEST, as_json=True)

    assert json.loads(filled) == {"text": SAMPLE["title"], "check": ""}
    check_body(source, as_json=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ titel }}", "'titel' is undefined"),
        ("{{ event.chek }}", "'dict object' has no attribute 'chek'"),
        ("{{ title ", "unexpected end of template"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        (
            "{{ title.__class__.__mro__ }}",
            "access to attribute '__class__' .* is unsafe",
        ),
        ("{{ events.clear() }}", "'clear' of 'list' object is unsafe"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{{ title | nope }}", "No filter named 'nope'"),
        ("{{ title + 1 }}", "TypeError"),
        ("{{ title | xmlattr }}", "AttributeError"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(source, message):
    with pytest.raises(TemplateError, match=message):
        check_template(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{"text": {{ title }}}', "is not JSON"),
        ('{"task": {{ event.task }}}', "with several events, it is not JSON"),
    ],
)
def test_a_body_must_be_json_for_one_event_and_for_several(source, message):
    with pytest.raises(TemplateError, match=message):
        check_body(source, as_json=True)

    check_body(source, as_json=False)
