"""Regular expressions that the user writes and that websites' texts meet.

They mean what they mean to Python's `re`. RE2 runs them, in linear time whatever the
text; what RE2 cannot express runs in `regex`, and is given up after a second.
"""

import re
import warnings
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

from argos.core.re2_syntax import expanded_size, to_re2
from argos.errors import ExpectedError, PatternTimeout

if TYPE_CHECKING:
    import regex

MAX_PATTERN_LENGTH = 10_000
MAX_TEXT_LENGTH = 4 * 1024 * 1024
"""Characters; what lies behind them is not searched."""
TIME_LIMIT_S = 1.0
_CACHED_PATTERNS = 256
_MAX_PROGRAM_SIZE = 20_000
"""RE2 instructions. Its time is bounded by text times program: on 2 MiB of text made
for the purpose 1,400 instructions took 2 s, 300,000 took 11 s."""
_MAX_EXPANDED_SIZE = 100_000
"""Parts of a pattern for `regex`, which writes repetitions out: some 30 MB."""
_MAX_MEMORY = 4 * 1024 * 1024
"""Bytes that one RE2 program and its states may take."""


class _Fast(Protocol):
    """What RE2 compiles to; its package has no types."""

    programsize: int

    def search(self, text: bytes) -> object | None: ...


class Pattern:
    """A compiled regular expression; all that checks need of it is `search`."""

    def __init__(self, source: str) -> None:
        if len(source) > MAX_PATTERN_LENGTH:
            raise ExpectedError(
                f"This regular expression has {len(source)} characters; "
                f"{MAX_PATTERN_LENGTH} is the limit."
            )
        self._source = source
        self._flags = _flags(source)
        self._narrow = self._compile_fast(is_wide=False)
        if self._narrow is None:
            self._slow  # noqa: B018  # refuses at once what no engine can use

    @property
    def is_slow(self) -> bool:
        """Does even plain text need the slow engine?"""
        return self._narrow is None

    def search(self, text: str) -> bool:
        """Is there a match anywhere in the text? Raises PatternTimeout."""
        text = text[:MAX_TEXT_LENGTH]
        fast = self._narrow if text.isascii() else self._wide
        if fast is not None:
            return fast.search(text.encode(errors="surrogatepass")) is not None
        try:
            found = self._slow.search(text, timeout=TIME_LIMIT_S, concurrent=True)
        except TimeoutError as err:
            raise PatternTimeout from err
        return found is not None

    @cached_property
    def _wide(self) -> _Fast | None:
        """Made when the first text beyond ASCII comes: it takes ten times as long."""
        return self._compile_fast(is_wide=True)

    @cached_property
    def _slow(self) -> "regex.Pattern[str]":
        return _compile_slow(self._source)

    def _compile_fast(self, *, is_wide: bool) -> _Fast | None:
        return _compile_re2(to_re2(self._source, self._flags, is_wide=is_wide))


@lru_cache(_CACHED_PATTERNS)
def compile_pattern(source: str) -> Pattern:
    """Compile a regular expression; raises ExpectedError, saying what is wrong."""
    return Pattern(source)


def _flags(source: str) -> int:
    """The flags that Python's `re` reads from the pattern."""
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            return re.compile(source).flags
    except RecursionError as err:
        raise ExpectedError("This regular expression is nested too deeply.") from err
    except (re.error, OverflowError, ValueError) as err:
        raise ExpectedError(
            f"This is not a regular expression as Python knows them: {err}."
        ) from err


def _compile_re2(source: str | None) -> _Fast | None:
    if source is None:
        return None
    # Imported here, as is `regex`: most agents meet no pattern, and both take 4 MB.
    import re2

    options = re2.Options()
    options.log_errors = False  # it would write to standard error
    options.never_capture = True
    options.max_mem = _MAX_MEMORY
    try:
        compiled = re2.compile(source.encode(errors="surrogatepass"), options)
    except re2.error:
        return None
    fast: _Fast = compiled
    return fast if fast.programsize <= _MAX_PROGRAM_SIZE else None


def _compile_slow(source: str) -> "regex.Pattern[str]":
    import regex

    if expanded_size(source) > _MAX_EXPANDED_SIZE:
        raise ExpectedError(
            "The repetitions of this regular expression are too large together."
        )
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            return regex.compile(source)
    except (regex.error, RecursionError) as err:
        raise ExpectedError(f"This regular expression cannot be used: {err}.") from err
