"""Notices in the words of the config, where it has some that fit."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from argos.channels import Notice
from argos.channels.webhook import document
from argos.core.text import visible
from argos.errors import TemplateError
from argos.own_words import OUR_WORDS, OwnWords, fill_in, fill_in_anyhow

log = logging.getLogger(__name__)


def in_own_words(notice: Notice, own: OwnWords) -> Notice:
    """The notice, with what the templates make of it.

    Where one does not fit, it is told in our words: a template must not keep anybody
    from being told. A body has gaps there, since its receiver knows no other form.
    """
    if own == OUR_WORDS:
        return notice
    facts = document(notice)
    title = _try(own.title, partial(fill_in, document=facts), notice)
    body = partial(fill_in_anyhow, document=facts, as_json=own.is_json)
    return replace(
        notice,
        own_title=None if title is None else visible(" ".join(title.split())),
        own_text=_try(own.text, partial(fill_in, document=facts), notice),
        own_body=_try(own.body, body, notice),
    )


def _try(source: str | None, fill: Callable[[str], str], notice: Notice) -> str | None:
    if source is None:
        return None
    try:
        # No service takes a message of nothing.
        return fill(source).strip() or None
    except TemplateError as err:
        log.warning(
            "A template of a channel does not fit a notice of the kind %s, which is told "
            "in Argos' own words: %s",
            notice.kind,
            visible(str(err)),
        )
        return None
