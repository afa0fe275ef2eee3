"""Reasons that agents give, in the language of whoever reads them.

Agents write English: that is what results hold, and what 0.10.3 reads. A reason that is
one of the usual sentences is taken apart again here; any other is left as it is.
"""

import re
from functools import cache

from argos.language import Texts, mark

_SENTENCES = (
    mark("The status code is {found} instead of {expected}."),
    mark("The status code is {found}."),
    mark("Over plain http the status code is {found}."),
    mark("Missing: {names}. With another value: {others}."),
    mark("Missing: {names}."),
    mark("With another value: {names}."),
    mark("Not in the body of {count} bytes."),
    mark("Not in the first {count} bytes; the body is longer than what is read of it."),
    mark("The answer is not the expected JSON, as a whole."),
    mark("The answer is not the expected JSON, at {place}."),
    mark("The answer is longer than what is read of it, so its JSON is incomplete."),
    mark("The answer came over HTTP/{version}."),
    mark("The website speaks {version}."),
    mark("The certificate of {subject} ends in {days} d."),
    mark("The certificate was not accepted: {reason}."),
    mark("The certificate is not accepted: {reason}."),
    mark("It could not be verified: {reason}"),
    mark("Could not connect to {address} port {port}: {reason}."),
    mark("No connection to {address} port {port} within {seconds} s."),
    mark("The TLS handshake did not end within {seconds} s."),
    mark("No answer came within {seconds} s."),
    mark("The answer did not end within {seconds} s."),
    mark("The TLS handshake failed: {reason}."),
    mark("The answer could not be used: {reason}."),
    mark("The probe could not be made: {reason}."),
    mark("The headers broke off."),
    mark("The name {name} does not exist."),
    mark("{name} has no IPv{version} address."),
    mark("The name servers did not answer when asked for {name}."),
    mark("The name servers could not tell the address of {name}: {reason}."),
    mark("The address of {name} was not found within {seconds} s."),
    mark("The redirect to {target} is not followed: {reason}."),
    mark("This agent may not: {reason}."),
    mark("The agent reached none of its references either."),
    mark("The agent fails on most websites, where other agents succeed."),
)

_WORDS = frozenset({
    mark("Connection refused"),
    mark("Connection reset by peer"),
    mark("Connection timed out"),
    mark("Network is unreachable"),
    mark("No route to host"),
    mark("Empty reply from server"),
})
"""What may stand in the gap of a sentence, and has a translation of its own."""

_GAP = re.compile(r"\\\{([a-z]+)\\\}")


def say_reason(reason: str, texts: Texts) -> str:
    """The reason in a language, as far as it is a usual one."""
    for sentence, pattern in _patterns():
        found = pattern.fullmatch(reason)
        if found is not None:
            values = found.groupdict()
            return texts.say(
                sentence,
                **{
                    name: texts.say(value) if value in _WORDS else value
                    for name, value in values.items()
                },
            )
    return reason


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    # In the order of the sentences: what says more comes before what says less.
    return tuple(
        (sentence, re.compile(_GAP.sub(r"(?P<\1>.+?)", re.escape(sentence))))
        for sentence in _SENTENCES
    )
