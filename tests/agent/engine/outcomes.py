"""Narrowing what a probe brought to what a test expects of it."""


def known(microseconds: int | None) -> int:
    """A time that must have been measured."""
    assert microseconds is not None
    return microseconds
