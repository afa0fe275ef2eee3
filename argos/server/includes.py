"""The files of a config: the main one, and all that it includes."""

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argos.schemas.node import (
    BrokenNode,
    ListNode,
    MappingNode,
    Node,
    Refused,
    ScalarNode,
    pack_place,
    plain,
)
from argos.schemas.reader import doubt_unknown_key
from argos.schemas.reading import Reading
from argos.schemas.wording import show
from argos.server.sources import Search, Sources
from argos.server.wildcard import has_wildcard
from argos.server.yaml_source import Source, Tally, compose

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_FILES = 200_000
MAX_INCLUDE_DEPTH = 5
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FORMS = "a file name, a list `[pattern, depth]` or a mapping with `urlpath`"


@dataclass(frozen=True, slots=True)
class _Include:
    """What stands after `!include`."""

    node: Node
    pattern: str
    max_depth: int | None = None
    is_flat: bool = False
    """Lists in the files become one list."""


class ConfigFiles:
    """Reads the files of a config into one tree of nodes."""

    def __init__(self, main: Path, reading: Reading) -> None:
        self._main = main
        self._folder = _real(main).parent
        self._reading = reading
        self._tally = Tally()
        self._open: list[Path] = []
        self._outside: dict[tuple[Node, Path], None] = {}
        self._found: dict[Search, list[Path]] = {}
        self.readable_by_all: set[int] = set()
        """Indexes of the files that every user of the machine may read."""

    def read(self) -> Node:
        """The whole config; raises Refused, and OSError on the main file."""
        return self._read_file(_real(self._main), str(self._main), 0)

    @property
    def sources(self) -> Sources:
        """What was read."""
        return Sources(dict(self._reading.digests), dict(self._found))

    def doubt_outside(self, allowed: tuple[Path, ...]) -> None:
        """Note the includes from folders that the config does not allow."""
        folders = [self._folder, *(_real(self._folder / path) for path in allowed)]
        for node, folder in self._outside:
            if not any(folder.is_relative_to(known) for known in folders):
                self._reading.doubt(
                    node,
                    f"The folder {folder} lies outside of the config's; if that is "
                    "wanted, name it in `general.allow_includes_from`",
                )

    def _read_file(self, path: Path, shown: str, depth: int) -> Node:
        file = len(self._reading.files)
        self._reading.files.append(shown)
        source = Source(
            text=self._read_text(path, file),
            file=file,
            reading=self._reading,
            tally=self._tally,
            include=self._include,
        )
        self._open.append(path)
        try:
            return compose(source, depth)
        finally:
            self._open.pop()

    def _read_text(self, path: Path, file: int) -> str:
        beginning = BrokenNode(pack_place(file, 0, 0))
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        if status.st_mode & stat.S_IROTH:
            self.readable_by_all.add(file)
        if status.st_size > MAX_FILE_BYTES:
            limit = f"{MAX_FILE_BYTES // 1024**2} MiB"
            raise Refused(beginning, f"This file is larger than {limit}", subject="")
        content = path.read_bytes()
        self._reading.note_file(path, content)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = content[: error.start].decode("utf-8-sig")
            line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
            raise Refused(
                BrokenNode(pack_place(file, line, column)),
                f"The byte 0x{content[error.start]:02x} is not UTF-8; save the file in "
                "that encoding",
                subject="",
            ) from error

    def _include(self, node: Node, depth: int) -> Node:
        """What an include stands for; broken when it cannot be read."""
        try:
            return self._read_include(_parse(node, self._reading), depth)
        except Refused as refused:
            self._reading.refuse(refused, "An include")
        except OSError as error:
            self._reading.fault(
                node, f"The folder {error.filename} cannot be read: {error.strerror}"
            )
        return BrokenNode(node.place)

    def _read_include(self, include: _Include, depth: int) -> Node:
        if len(self._open) > MAX_INCLUDE_DEPTH:
            raise Refused(
                include.node, f"must not lie in more than {MAX_INCLUDE_DEPTH} others"
            )
        if not has_wildcard(include.pattern):
            return self._read_one(include, self._folder / include.pattern, depth)
        search = Search(self._folder, include.pattern, include.max_depth)
        paths = search.run()
        self._found[search] = paths
        if not paths:
            self._reading.warn(include.node, f"No file matches {show(include.pattern)}")
        roots = [self._read_match(include, path, depth + 1) for path in paths]
        if include.is_flat:
            roots = [
                item
                for root in roots
                for item in (root.items if isinstance(root, ListNode) else [root])
            ]
        return ListNode(roots, include.node.place)

    def _read_match(self, include: _Include, path: Path, depth: int) -> Node:
        try:
            return self._read_one(include, path, depth)
        except Refused as refused:
            self._reading.refuse(refused, "An include")
            return BrokenNode(include.node.place)

    def _read_one(self, include: _Include, path: Path, depth: int) -> Node:
        shown = self._shown(path)
        real = _real(path)
        if real in self._open:
            raise Refused(include.node, f"must not lead back to {shown}")
        if len(self._reading.files) >= MAX_FILES:
            raise Refused(include.node, f"must not lead to more than {MAX_FILES} files")
        if not real.is_relative_to(self._folder):
            self._outside[include.node, real.parent] = None
        try:
            root = self._read_file(real, shown, depth)
        except OSError as error:
            raise Refused(
                include.node,
                f"The file {shown} cannot be read: {error.strerror}",
                subject="",
            ) from error
        if isinstance(root, ScalarNode) and root.value is None:
            self._reading.warn(root, "This file is empty")
        return root

    def _shown(self, path: Path) -> str:
        """A path as the user would write it from where the main file was named."""
        if not path.is_relative_to(self._folder):
            return str(path)
        is_direct = _real(self._main.parent) == self._folder
        start = self._main.parent if is_direct else self._folder
        return str(start / path.relative_to(self._folder))


def _real(path: Path) -> Path:
    """Without links; unlike `Path.resolve`, without a complaint on circles of them."""
    return Path(os.path.realpath(path))


def _parse(node: Node, reading: Reading) -> _Include:
    pattern: Any = None
    depth: Any = None
    is_flat = False
    match node:
        case ScalarNode(value=value):
            pattern = value
        case ListNode(items=[first]):
            pattern = plain(first)
        case ListNode(items=[first, second]):
            pattern, depth = plain(first), plain(second)
        case MappingNode():
            pattern, is_flat = _parse_mapping(node, reading)
    if not isinstance(pattern, str) or not pattern or "\0" in pattern:
        raise Refused(node, f"must be {_FORMS}")
    if _URL.match(pattern):
        raise Refused(node, f"must name files, not the URL {show(pattern)}")
    if depth is not None and (not isinstance(depth, int) or depth < 1):
        raise Refused(node, f"must have a depth of 1 or more, not {show(depth)}")
    return _Include(node, pattern, depth, is_flat)


def _parse_mapping(node: MappingNode, reading: Reading) -> tuple[Any, bool]:
    values = {"urlpath": None, "flatten": False}
    for key, value in node.pairs():
        if key.value in values:
            values[str(key.value)] = plain(value)
        else:
            doubt_unknown_key(key, tuple(values), reading)
    return values["urlpath"], bool(values["flatten"])
