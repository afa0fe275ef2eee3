"""What every check has in common, and the registry of checks."""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec

from argos.core.headers import HeaderFields, join_fields
from argos.core.probe import FailureKind, Outcome, Probe, ProbeFailure, ProbeResponse
from argos.core.schedule import EPOCH
from argos.core.severity import DEFAULT_SEVERITY, Severity, Status
from argos.core.text import cut, visible
from argos.errors import CheckNotFound, ExpectedError
from argos.patterns import TIME_LIMIT_S, Pattern, compile_pattern

Facts = Mapping[str, Any]
"""Short, JSON-ready findings; a body or a list of headers never whole."""

Thresholds = tuple[tuple[int, Severity], ...]
"""Days before a certificate's end, ascending, each with the severity from there on."""

MAX_FACT_LENGTH = 2_000
MAX_FACTS_BYTES = 8 * 1024
_LONGEST_ESCAPE = 12
"""Bytes that JSON needs at most for one character: a surrogate pair."""
_SURELY_SMALL = MAX_FACTS_BYTES // 2 // _LONGEST_ESCAPE
"""Texts that have no more characters than this together need no closer look."""

_CACHED_EXPECTATIONS = 4096

SLOW_PATTERN = (
    "may need an engine that is slow on some texts, because of look-around, "
    f"back-references or the like; it is given up after {TIME_LIMIT_S:g} s."
)

_FAILURE_FACTS = ("error_message", "error_type", "error_details")


class Verdict(msgspec.Struct, frozen=True):
    """What a check says of one outcome."""

    status: Status
    facts: Facts = {}


@dataclass(frozen=True, slots=True)
class FinalizeRules:
    """What the server's config says on judging verdicts."""

    ssl_thresholds: Thresholds = ()
    ssl_invalid: Severity = Severity.CRITICAL
    """An expired, mismatching or untrusted certificate, or none at all."""


_registry: dict[str, type["BaseCheck"]] = {}


class BaseCheck:
    """A named judgement of a probe's outcome; stateless and pure.

    A subclass gives `name`, a docstring for users, `parse_expected` and `judge`; where
    its config values need more than the common encoding, `encode_expected`; where only
    the server can judge, `finalize`.
    """

    name: ClassVar[str] = ""
    is_legacy: ClassVar[bool] = True
    """Known to agents of 0.10.3; others get it only when they announce it."""
    unwanted_options: ClassVar[frozenset[str]] = frozenset()
    """Probe options of the config that its probe must not have."""
    wants_handshake: ClassVar[bool] = False
    """Has it use for the version of TLS, its cipher, and handshakes that break off?"""
    shows_expected: ClassVar[bool] = False
    """Are the facts of an answer to begin with the `expected` text?"""
    is_success_silent: ClassVar[bool] = False
    """Do the facts of a success say nothing but what was expected? The server does not
    keep them then."""
    sees_only_status: ClassVar[bool] = False
    """Does the verdict on an answer depend on nothing but its status code?"""
    passing_facts: ClassVar[frozenset[str]] = frozenset()
    """Facts that differ from run to run although nothing has changed."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.name:
            raise TypeError(f"{cls.__name__} has no name")
        if cls.name in _registry:
            raise TypeError(f"There are two checks named {cls.name}")
        _registry[cls.name] = cls

    @classmethod
    def encode_expected(cls, value: object) -> str:
        """Turn a config value into the `expected` text, byte for byte as 0.10.3 does.

        The text is part of a task's identity. Raises ExpectedError, saying what would
        be right, on a value that could never have given anything but errors.
        """
        text = encode_value(value)
        cls.parse_expected(text)
        return text

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        """Why a value, accepted for 0.10.3's sake, may not do what was meant."""
        return None

    @classmethod
    def parse_expected(cls, expected: str) -> Any:
        """Read an `expected` text; raises ExpectedError when it is of no use."""
        raise NotImplementedError

    @classmethod
    def prepare_probe(cls, probe: Probe) -> Probe:
        """The probe that this check needs; the same unless it asks for another one."""
        return probe

    @classmethod
    def evaluate(cls, outcome: Outcome, expected: str, *, now: datetime) -> Verdict:
        """Judge an outcome. Never raises: what cannot be judged is status `error`."""
        if cls.sees_only_status and isinstance(outcome, ProbeResponse):
            return _judged_by_status(cls.name, expected, outcome.status_code)
        return cls._evaluate(outcome, expected, now=now)

    @classmethod
    def _evaluate(cls, outcome: Outcome, expected: str, *, now: datetime) -> Verdict:
        try:
            verdict = cls.decide(outcome, _parsed(cls.name, expected), now=now)
            facts = verdict.facts
            if cls.shows_expected and isinstance(outcome, ProbeResponse):
                facts = {"expected": expected, **facts}
            elif not facts:
                return verdict
            return Verdict(verdict.status, tidy_facts(facts))
        except Exception as err:  # noqa: BLE001  # one bad task must not cost the others
            facts = _error_facts(str(err), type(err).__name__)
            return Verdict(Status.ERROR, tidy_facts(facts))

    @classmethod
    def decide(cls, outcome: Outcome, wanted: Any, *, now: datetime) -> Verdict:
        """Judge an outcome by what `parse_expected` returned; may raise."""
        if isinstance(outcome, ProbeFailure):
            return judge_failure(outcome)
        return cls.judge(outcome, wanted)

    @classmethod
    def is_met(cls, response: ProbeResponse, wanted: Any) -> bool:
        """Whether an answer is what was expected; may raise.

        Asked for only where successes are silent.
        """
        raise NotImplementedError

    @classmethod
    def badness(cls, facts: Facts) -> float:  # a subclass may look
        """Which of two verdicts of the same status is worse; the greater one."""
        return 0.0

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: Any) -> Verdict:
        """Judge an answer; may raise. Not asked where a subclass has its own `decide`."""
        raise NotImplementedError

    @classmethod
    def finalize(
        cls,
        status: Status,
        facts: Facts,
        rules: FinalizeRules,
        *,
        expected: str,
    ) -> tuple[Status, Severity]:
        """Decide, on the server, the final status and severity of a verdict.

        Never raises, whatever an agent reports. A check that leaves nothing to the
        server cannot be `on-check`: that is an agent's error.
        """
        return finalize_by_status(status)


@lru_cache(maxsize=_CACHED_EXPECTATIONS)
def _parsed(name: str, expected: str) -> Any:
    """What the text means; the same from run to run, and never changed by a check."""
    return get_registered_check(name).parse_expected(expected)


def is_plain_success(name: str, expected: str, response: ProbeResponse) -> bool:
    """Whether this check would call it a success of which nothing is to be said.

    It costs a quarter of `evaluate`, for what is by far the most. False says nothing.
    """
    try:
        silent = _silent(name, expected)
        return silent is not None and silent[0](response, silent[1])
    except Exception:  # noqa: BLE001  # `evaluate` has a verdict on that, too
        return False


@lru_cache(maxsize=_CACHED_EXPECTATIONS)
def _silent(
    name: str, expected: str
) -> tuple[Callable[[ProbeResponse, Any], bool], Any] | None:
    """What tells whether a check is met, and by what; None: its successes are told."""
    check = get_registered_check(name)
    if not check.is_success_silent:
        return None
    return check.is_met, check.parse_expected(expected)


@lru_cache(maxsize=_CACHED_EXPECTATIONS)
def _judged_by_status(name: str, expected: str, code: int) -> Verdict:
    """A website's status is mostly the same, and so is what a check says of it."""
    check = get_registered_check(name)
    return check._evaluate(ProbeResponse(code), expected, now=EPOCH)  # noqa: SLF001  # the same module


def get_registered_check(name: str) -> type[BaseCheck]:
    """The check of this name; raises CheckNotFound, naming the nearest one."""
    check = _registry.get(name)
    if check is None:
        nearest = difflib.get_close_matches(name, _registry, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else "."
        raise CheckNotFound(f"There is no check named {name}{hint}")
    return check


def get_registered_checks() -> Mapping[str, type[BaseCheck]]:
    """All checks by name, in the order of registration."""
    return MappingProxyType(_registry)


def encode_value(value: object) -> str:
    """Encode a config value as 0.10.3 does for most checks."""
    match value:
        case str():
            return value
        case bool():
            return str(value)
        case int() | list() | dict():
            return encode_json(value)
        case None:
            kind = "nothing"
        case _:
            kind = f"a {type(value).__name__}"
    raise ExpectedError(
        "This should be a text, a whole number, true or false, a list or a mapping; "
        f"it is {kind}. Put quotes around what is meant as a text."
    )


def encode_json(value: object) -> str:
    """JSON text with the default separators, ASCII only, keys in their order."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as err:
        raise ExpectedError(
            "A list or mapping may hold only texts, numbers, true, false, null, lists "
            "and mappings; put quotes around dates and the like."
        ) from err


def parse_json(expected: str, hint: str) -> Any:
    """Read an `expected` text that is JSON; the hint tells the user what it should be.

    NaN and the infinities pass, as they do in 0.10.3.
    """
    try:
        return json.loads(expected)
    except (ValueError, RecursionError) as err:
        raise ExpectedError(hint) from err


def parse_patterns(expected: str, hint: str) -> dict[str, Pattern]:
    """Read an `expected` text that is a JSON object of regular expressions.

    Values that are not texts are turned into one in Python's notation, as in 0.10.3.
    """
    patterns = parse_json(expected, hint)
    if not isinstance(patterns, dict):
        raise ExpectedError(hint)
    return {name: compile_pattern(str(value)) for name, value in patterns.items()}


def patterns_quirk(value: object, patterns: Mapping[str, Pattern]) -> str | None:
    """A warning on regular expressions that are slow, or were not written as texts."""
    if isinstance(value, dict):
        for name, pattern in value.items():
            if not isinstance(pattern, str):
                return (
                    f"The regular expression of {name} is not a text; it is taken "
                    f"for “{pattern}”. Put quotes around it."
                )
    slow = [name for name, pattern in patterns.items() if pattern.is_slow]
    return f"The regular expression of {slow[0]} {SLOW_PATTERN}" if slow else None


def never_codes(values: list[Any]) -> str | None:
    """A warning on values that no status code can ever equal."""
    bad = [
        value
        for value in values
        if isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 100 <= value <= 599
    ]
    if not bad:
        return None
    return (
        f"{cut(encode_json(bad[0]), 40)} is never the status code of an answer; codes "
        "are whole numbers from 100 to 599, without quotes."
    )


def header_values(response: ProbeResponse) -> Mapping[str, str]:
    """The headers by lower-case name; values of repeated ones are joined by ", "."""
    headers = response.headers
    if isinstance(headers, HeaderFields):
        return headers.values
    return join_fields(headers)


def failed(reason: str, facts: Facts | None = None) -> Verdict:
    """The verdict `failure`, with one sentence for the user."""
    return Verdict(Status.FAILURE, {**(facts or {}), "reason": reason})


def judge_failure(failure: ProbeFailure) -> Verdict:
    """Judge that there was no usable answer: the website's failure, or our own error."""
    is_ours = failure.kind is FailureKind.INTERNAL
    status = Status.ERROR if is_ours else Status.FAILURE
    return Verdict(status, describe_failure(failure))


def describe_failure(failure: ProbeFailure) -> dict[str, Any]:
    """The three facts of an unreachable target, by the names that 0.10.3 uses."""
    details = []
    if failure.remote_address is not None:
        details.append(f"address {failure.remote_address}")
    if failure.timings.total_us is not None:
        details.append(f"after {failure.timings.total_us / 1000:.0f} ms")
    return _error_facts(failure.message, failure.kind.value, ", ".join(details))


def finalize_by_status(status: Status) -> tuple[Status, Severity]:
    """The severity of a status that needs no judging; `on-check` is an error."""
    final = Status.ERROR if status is Status.ON_CHECK else status
    return final, DEFAULT_SEVERITY[final]


def tidy_facts(facts: Facts) -> dict[str, Any]:
    """Make texts visible and cut them, so that all facts together stay small."""
    tidy: dict[str, Any] = {}
    length = 0
    for key, value in facts.items():
        if not isinstance(value, str):
            tidy[key] = value
        elif len(value) <= MAX_FACT_LENGTH and value.isprintable():
            # Most are, for which the calls below would be dear.
            tidy[key] = value
            length += len(value)
        else:
            tidy[key] = text = cut(visible(value), MAX_FACT_LENGTH)
            length += len(text)
    if length > _SURELY_SMALL:
        _shorten(tidy)
    return tidy


def _shorten(facts: dict[str, Any]) -> None:
    """Halve the longest text until all facts together are small enough."""
    texts = {key: value for key, value in facts.items() if isinstance(value, str)}
    while (
        sum(map(len, texts.values())) > _SURELY_SMALL
        and len(json.dumps(facts)) > MAX_FACTS_BYTES
    ):
        longest = max(texts, key=lambda key: len(texts[key]))
        facts[longest] = texts[longest] = cut(texts[longest], len(texts[longest]) // 2)


def _error_facts(message: str, kind: str, details: str = "") -> dict[str, Any]:
    return dict(zip(_FAILURE_FACTS, (message, kind, details), strict=True))
