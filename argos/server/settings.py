"""Finding the config file, and reading it into a Config or a list of its faults."""

import gc
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from argos.errors import ConfigError, Fault
from argos.schemas.config import Config, build_config
from argos.schemas.node import Refused
from argos.schemas.options import digest_options
from argos.schemas.reading import Notes, Reading
from argos.schemas.website import Website
from argos.server.includes import ConfigFiles
from argos.server.sources import Sources

CONFIG_VARIABLE = "ARGOS_YAML_FILE"
DEFAULT_NAME = "argos-config.yaml"
SYSTEM_PATH = Path("/etc/argos/config.yaml")


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A config that can be used."""

    config: Config
    warnings: tuple[Fault, ...]
    digest: str
    """SHA-256 of what the websites part means, in hexadecimal."""
    sources: Sources
    """What it was read from."""


def find_config(
    explicit: str | None,
    environ: Mapping[str, str],
    cwd: Path,
    *,
    system_path: Path = SYSTEM_PATH,
) -> Path:
    """The config file to read; raises ConfigError.

    A file that the user named, by option or by variable, is read or nothing is; only
    without a name the usual places are tried.
    """
    named = explicit or environ.get(CONFIG_VARIABLE)
    if named:
        path = cwd / named
        if not _is_readable(path):
            raise _missing(path, "This config file does not exist or cannot be read.")
        return path
    for path in (cwd / DEFAULT_NAME, system_path):
        if _is_readable(path):
            return path
    raise _missing(
        cwd / DEFAULT_NAME,
        f"There is no config file here, and no {system_path}; name one with --config "
        f"or with the variable {CONFIG_VARIABLE}.",
    )


def read_config(
    path: Path, *, strict: bool = False, environ: Mapping[str, str]
) -> LoadedConfig:
    """Read a config with all that it includes; raises ConfigError with every fault.

    When strict, unknown and repeated keys and includes from outside are faults, too.
    """
    reading = Reading(environ=environ, is_strict=strict)
    files = ConfigFiles(path, reading)
    with _paused_collection():
        config = _build(path, files, reading)
    warnings = _doubt_readable(files, reading) + _all_noted(reading.warnings, reading)
    if config is None or reading.faults.count:
        raise ConfigError(_all_noted(reading.faults, reading), warnings)
    return LoadedConfig(
        config, tuple(warnings), digest_websites(config.websites), files.sources
    )


def digest_websites(websites: Iterable[Website]) -> str:
    """The same for the same websites in the same order, however they are written."""
    digest = hashlib.sha256()
    for website in websites:
        digest.update(repr(website).encode("utf-8", "surrogatepass"))
        options = website.options, *(path.options for path in website.paths)
        if any(options):
            # Their secrets do not show in the line above.
            digest.update(digest_options(options).encode())
    return digest.hexdigest()


def _build(path: Path, files: ConfigFiles, reading: Reading) -> Config | None:
    try:
        config = build_config(files.read(), reading)
    except Refused as refused:
        reading.refuse(refused, "The config")
        return None
    except OSError as error:
        raise _missing(path, f"This file cannot be read: {error.strerror}.") from error
    files.doubt_outside(config.general.allow_includes_from)
    return config


def _doubt_readable(files: ConfigFiles, reading: Reading) -> list[Fault]:
    return [
        Fault(
            reading.files[file],
            0,
            0,
            "Every user of this machine can read this file, and it holds secrets; "
            "take that right away (chmod o-r) or move the secrets out of it.",
        )
        for file in sorted(files.readable_by_all & reading.literal_secrets)
    ]


def _all_noted(notes: Notes, reading: Reading) -> list[Fault]:
    noted = notes.listed(reading.files)
    if notes.hidden:
        noted.append(Fault(reading.files[0], 0, 0, f"… and {notes.hidden} more."))
    return noted


def _is_readable(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.R_OK)
    except (OSError, ValueError):  # a name of no file system
        return False


def _missing(path: Path, message: str) -> ConfigError:
    return ConfigError([Fault(str(path), 0, 0, message)])


@contextmanager
def _paused_collection() -> Iterator[None]:
    """Millions of new nodes hold no cycles; looking for some doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
