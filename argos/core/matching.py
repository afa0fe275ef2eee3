"""Which websites and tasks a rule is about: maintenance windows, silences, routes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

WILDCARDS = "*?"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule can ask of a task."""

    domain: str
    """The website, as its tasks have it: `https://example.org/`."""
    url: str
    check: str
    website: str | None = None
    """How people call the website."""
    group: str | None = None
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Matcher:
    """A rule's conditions: each that is named must hold, one value of each is enough.

    Values may hold `*` (any text) and `?` (any character); letters' case does not count.
    """

    website: Sequence[str] = ()
    """A host, a domain with its scheme, or the website's name."""
    url: Sequence[str] = ()
    group: Sequence[str] = ()
    tag: Sequence[str] = ()
    check: Sequence[str] = ()

    @property
    def is_boundless(self) -> bool:
        """Whether every task would match, as far as can be told from the words."""
        return all(
            not values or any(not value.strip(WILDCARDS) for value in values)
            for values in (getattr(self, field.name) for field in fields(self))
        )

    def matches(self, subject: Subject) -> bool:
        """Whether a task is meant."""
        names = _website_names(subject.domain, subject.website)
        return (
            _any(self.website, names)
            and _any(self.url, (subject.url,))
            and _any(self.group, () if subject.group is None else (subject.group,))
            and _any(self.tag, tuple(subject.tags))
            and _any(self.check, (subject.check,))
        )

    def describe(self) -> str:
        """The conditions in one line: `website shop.example.org, tag a or b`."""
        parts = [
            f"{field.name} {' or '.join(values)}"
            for field in fields(self)
            if (values := getattr(self, field.name))
        ]
        return ", ".join(parts) or "everything"


def _any(patterns: Sequence[str], values: Sequence[str]) -> bool:
    if not patterns:
        return True
    return any(
        _pattern(pattern).fullmatch(value) for pattern in patterns for value in values
    )


@lru_cache(maxsize=4096)
def _website_names(domain: str, name: str | None) -> tuple[str, ...]:
    bare = domain.rstrip("/")
    host = bare.partition("://")[2]
    return tuple(known for known in (domain, bare, host, name) if known)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    # What stands between two stars is looked for once, from the left, as if it were
    # all of the pattern: else `*a*a*a*a` would try all ways to split a text.
    first, *others = [_literal(part) for part in re.split(r"\*+", pattern)]
    if others:
        *middle, last = others
        first += "".join(f"(?>.*?{part})" for part in middle) + f".*{last}"
    return re.compile(first, re.IGNORECASE | re.DOTALL)


def _literal(part: str) -> str:
    return ".".join(re.escape(piece) for piece in part.split("?"))
