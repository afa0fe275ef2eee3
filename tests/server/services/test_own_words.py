"""Notices in the words of the config."""

import json
import logging
from types import SimpleNamespace

import pytest

from argos.channels import Notice, NoticeKind
from argos.channels.webhook import document
from argos.core.severity import Severity
from argos.own_words import OUR_WORDS, SAMPLE, OwnWords
from argos.server.services.channel_trial import Sample, make_trial_notice
from argos.server.services.message import message_of
from argos.server.services.own_words import in_own_words
from argos.server.services.wording import Wording, wording_for
from tests.server.services.test_message import NOON, delivery


def tell(own: OwnWords, *numbers: int) -> Notice:
    deliveries = [delivery(number) for number in numbers]
    return message_of(deliveries, batch_id="b", references=(), wording=Wording(own=own))


def test_a_message_is_told_in_the_words_of_the_config():
    own = OwnWords(
        title=" {{ severity }}\n{{ event.website }} ", text="See {{ title }}"
    )

    notice = tell(own, 1)

    assert (
        notice.own_title
        == notice.headline
        == notice.subject
        == "critical site1.example"
    )
    assert notice.own_text == f"See {notice.title}"
    assert notice.own_body is None


def test_without_templates_nothing_changes():
    notice = tell(OUR_WORDS, 1)

    assert (notice.own_title, notice.own_text, notice.own_body) == (None, None, None)
    assert notice.headline == notice.title
    assert notice.subject == f"[Argos] {notice.title}"


def test_what_does_not_fit_is_told_in_our_words(caplog):
    own = OwnWords(title="{{ event.website }}", text="{{ events | length }} events")

    with caplog.at_level(logging.WARNING):
        notice = tell(own, 1, 2)

    assert notice.own_title is None
    assert notice.own_text == "2 events"
    assert "does not fit a notice of the kind digest" in caplog.text


def test_what_comes_to_nothing_is_told_in_our_words():
    notice = tell(OwnWords(title="{{ '' }}", text=" \n", body="\n"), 1)

    assert notice.subject.startswith("[Argos] ❌")
    assert (notice.own_text, notice.own_body) == (None, None)


def test_a_body_has_gaps_rather_than_another_form():
    own = OwnWords(body='{"what": "{{ event.check }}"}', is_json=True)

    assert tell(own, 1).own_body == '{"what": "status-is"}'
    assert tell(own, 1, 2).own_body == '{"what": ""}'


def test_a_notice_of_no_website_can_be_worded_too():
    notice = Notice("m", NoticeKind.NO_AGENT, Severity.CRITICAL, NOON, "nobody watches")

    assert in_own_words(notice, OwnWords(title="{{ kind }}: {{ title }}")).subject == (
        "no-agent: nobody watches"
    )


def test_the_sample_has_all_that_a_document_has():
    found = document(tell(OUR_WORDS, 1))

    assert found.keys() == SAMPLE.keys()
    assert found["events"][0].keys() == SAMPLE["events"][0].keys()


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.OK])
def test_a_trial_in_own_words_says_that_it_is_one(severity):
    own = OwnWords(
        "{{ event.website }} {{ severity }}", "text", '{"a": 1}', is_json=True
    )

    notice = make_trial_notice(Sample("a.example", severity), Wording(own=own))

    assert notice.subject == f"a.example {severity}"
    assert notice.own_text is not None
    assert notice.own_text.startswith("text\n\nThis is a test")
    assert json.loads(notice.own_body or "") == {"a": 1}


def test_a_trial_says_so_once():
    notice = make_trial_notice(Sample(), Wording(own=OwnWords(text="{{ text }}")))

    assert notice.own_text is not None
    assert notice.own_text.count("This is a test") == 1


def test_the_words_are_those_of_the_channel(config):
    own = OwnWords(title="{{ title }}!")
    settings = SimpleNamespace(type="ntfy", own_words=own)
    general = config.general.model_copy(update={"channels": {"pocket": settings}})
    config = config.model_copy(update={"general": general})

    assert wording_for("pocket", config).own is own
    assert wording_for("local", config).own is OUR_WORDS
