"""What a config was read from, to tell later whether it would be read otherwise."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from argos.server.wildcard import find_files


@dataclass(frozen=True, slots=True)
class Search:
    """An include that names any number of files."""

    folder: Path
    pattern: str
    max_depth: int | None

    def run(self) -> list[Path]:
        """The files that it names now; raises OSError."""
        return find_files(self.folder, self.pattern, self.max_depth)


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a config and of its secrets, and what its includes found."""

    digests: Mapping[Path, bytes]
    found: Mapping[Search, Sequence[Path]]

    def are_unchanged(self) -> bool:
        """Whether all of them are as they were; to see that costs no parsing.

        Variables of the environment do not change while a process runs.
        """
        try:
            return all(
                search.run() == paths for search, paths in self.found.items()
            ) and all(
                hashlib.sha256(path.read_bytes()).digest() == known
                for path, known in self.digests.items()
            )
        except OSError:
            return False
