"""Which files a pattern of `!include` names."""

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn

_WILDCARD = re.compile(r"[*?\[]")
_ANY_FOLDERS = "**"


def has_wildcard(pattern: str) -> bool:
    """Does the pattern name any number of files, rather than one?"""
    return _WILDCARD.search(pattern) is not None


def find_files(folder: Path, pattern: str, max_depth: int | None = None) -> list[Path]:
    """The files that a pattern names, sorted by path; raises OSError.

    `*`, `?` and `[…]` stand for names in one folder, hidden ones too; `**` for any
    number of folders, links not followed. `max_depth` bounds how many names may stand
    in the place of `**` and of what follows it.
    """
    start = Path("/") if pattern.startswith("/") else folder
    steps = [step for step in pattern.split("/") if step not in {"", "."}]
    found = {path for path in _match(start, steps, max_depth) if not path.is_dir()}
    return sorted(found, key=str)


def _match(start: Path, steps: Sequence[str], max_depth: int | None) -> Iterator[Path]:
    if not steps:
        yield start
    elif steps[0] == _ANY_FOLDERS:
        for path in _match_below(start, steps[1:] or ["*"], max_depth):
            depth = len(path.parts) - len(start.parts)
            if max_depth is None or depth <= max_depth:
                yield path
    else:
        for path in _match_name(start, steps[0]):
            yield from _match(path, steps[1:], max_depth)


def _match_name(folder: Path, name: str) -> Iterator[Path]:
    if has_wildcard(name):
        if folder.is_dir():
            yield from (
                path for path in folder.iterdir() if fnmatchcase(path.name, name)
            )
    elif os.path.lexists(folder / name):
        yield folder / name


def _match_below(
    start: Path, steps: Sequence[str], max_depth: int | None
) -> Iterator[Path]:
    """Match the steps in a folder and in all below it."""
    if not start.is_dir():
        return
    for name, subfolders, _ in os.walk(start, onerror=_raise):
        folder = Path(name)
        if max_depth is not None and len(folder.parts) - len(start.parts) >= max_depth:
            subfolders.clear()
        yield from _match(folder, steps, max_depth)


def _raise(error: OSError) -> NoReturn:
    raise error
