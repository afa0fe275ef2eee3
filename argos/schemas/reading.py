"""One reading of a config: what it may use, and the faults and warnings it found."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from argos.errors import Fault
from argos.schemas.node import Node, Refused, ScalarNode, ScalarValue, unpack_place

MAX_FAULTS = 100
MAX_WARNINGS = 1_000
MAX_SECRET_BYTES = 64 * 1024
_VARIABLE = re.compile(r"\$?\$\{([A-Z_][A-Z0-9_]*)\}")
"""Upper case only, so that a text such as "${price}" of an old config stays one."""
_SECRET_FILE = re.compile(r"file:(/.+)", re.DOTALL)


@dataclass(slots=True)
class Notes:
    """The first so many notes of one kind, each once, and how many there were."""

    limit: int
    count: int = 0
    _noted: dict[tuple[int, str], None] = field(default_factory=dict)

    def add(self, place: int, message: str) -> None:
        """Note once what an alias may show to the reader many times."""
        message = _sentence(message)
        if (place, message) in self._noted:
            return
        self.count += 1
        if len(self._noted) < self.limit:
            self._noted[place, message] = None

    def listed(self, files: list[str]) -> list[Fault]:
        """By file and place, as a user would go through them."""
        return [
            Fault(files[file], line, column, message)
            for (place, message) in sorted(self._noted)
            for file, line, column in [unpack_place(place)]
        ]

    @property
    def hidden(self) -> int:
        """How many are not listed."""
        return self.count - len(self._noted)


@dataclass(slots=True)
class Reading:
    """Collects what is wrong in a config, and fills in what it takes from outside."""

    environ: Mapping[str, str] = field(default_factory=dict)
    is_strict: bool = False
    """Unknown keys and recipients, repeated keys, and includes from elsewhere, are faults."""
    files: list[str] = field(default_factory=list)
    """As shown to the user; places hold indexes into it."""
    faults: Notes = field(default_factory=lambda: Notes(MAX_FAULTS))
    warnings: Notes = field(default_factory=lambda: Notes(MAX_WARNINGS))
    recipients: frozenset[str] | None = None
    """Whom alerts can reach; None as long as it is not known."""
    ip_versions: tuple[bool, bool] = (True, True)
    """What websites inherit as `ipv4` and `ipv6`."""
    locations: tuple[str, ...] = ()
    """What they inherit as `locations`."""
    time_zone: tzinfo = UTC
    """In which local times are meant that name no zone of their own."""
    literal_secrets: set[int] = field(default_factory=set)
    """Indexes of the files that hold a secret in clear text."""

    digests: dict[Path, bytes] = field(default_factory=dict)
    """By each file that was read, of the config or a secret: SHA-256 of its content."""

    websites_by_host: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What the reader of websites remembers, to tell which check stands there twice."""

    dependents: list[tuple[Node, Any]] = field(default_factory=list)
    """The websites that depend on others, each with its place."""

    def fault(self, node: Node, message: str) -> None:
        """Note what forbids to use the config."""
        self.faults.add(node.place, message)

    def warn(self, node: Node, message: str) -> None:
        """Note what is probably not meant so."""
        self.warnings.add(node.place, message)

    def doubt(self, node: Node, message: str) -> None:
        """Note what 0.10.3 accepted in silence: a fault only when strict."""
        notes = self.faults if self.is_strict else self.warnings
        notes.add(node.place, message)

    def refuse(self, refused: Refused, subject: str) -> None:
        """Note why a value was refused, unless that has been done."""
        if refused.message is None:
            return
        words = subject if refused.subject is None else refused.subject
        self.fault(refused.node, f"{words} {refused.message}".lstrip())

    def value(self, node: ScalarNode) -> ScalarValue:
        """A scalar's value, environment variables filled in.

        Raises Refused when one is not set.
        """
        value = node.value
        if type(value) is str and "${" in value:
            return self._substitute(node, value)
        return value

    def secret(self, node: ScalarNode) -> ScalarValue:
        """A secret's value: a variable's, a file's, or the one in the config itself."""
        value = self.value(node)
        if not isinstance(value, str):
            return value
        named = _SECRET_FILE.fullmatch(value)
        if named:
            return self._read_secret(node, Path(named[1]))
        if value == node.value:
            self.literal_secrets.add(unpack_place(node.place)[0])
        return value

    def _substitute(self, node: ScalarNode, text: str) -> str:
        def fill_in(match: re.Match[str]) -> str:
            if match[0].startswith("$$"):
                return match[0][1:]
            value = self.environ.get(match[1])
            if value is None:
                raise Refused(
                    node,
                    f"names the environment variable {match[1]}, which is not set; "
                    f'if "${{{match[1]}}}" is meant as it stands, write '
                    f'"$${{{match[1]}}}"',
                )
            return value

        return _VARIABLE.sub(fill_in, text)

    def _read_secret(self, node: ScalarNode, path: Path) -> str:
        try:
            status = path.stat()
            content = _read_secret_file(path, status)
            text = _secret_text(content)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise Refused(node, f"cannot be read from {path}: {reason}") from error
        if status.st_mode & stat.S_IROTH:
            self.warn(node, f"Every user of this machine can read the secret in {path}")
        self.note_file(path, content)
        return text

    def note_file(self, path: Path, content: bytes) -> None:
        """Remember what a file held, to see later whether it still does."""
        self.digests[path] = hashlib.sha256(content).digest()


def _read_secret_file(path: Path, status: os.stat_result) -> bytes:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > MAX_SECRET_BYTES:
        raise ValueError("it is too large")
    return path.read_bytes()


def _secret_text(content: bytes) -> str:
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    if not text:
        raise ValueError("it is empty")
    return text


def _sentence(words: str) -> str:
    end = "" if words.endswith((".", "?", "!")) else "."
    return f"{words[0].upper()}{words[1:]}{end}"
