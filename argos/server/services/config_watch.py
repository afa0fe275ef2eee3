"""Take over a changed config while the server runs: by a job, or applied by others."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from argos.clock import Clock
from argos.errors import ConfigError
from argos.schemas import Config
from argos.server.database import Database
from argos.server.queries import duties as queries
from argos.server.services.reconcile import reconcile
from argos.server.settings import LoadedConfig

log = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=5)


class ConfigWatch:
    """Holds the config that is in force, and notices when a newer one was applied.

    A broken file changes nothing: what was in force stays in force.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        *,
        database: Database,
        clock: Clock,
        read: Callable[[Path], LoadedConfig],
        path: Path | None,
    ) -> None:
        self._loaded = loaded
        self._database = database
        self._clock = clock
        self._read = read
        self._path = path
        self._lock = threading.Lock()
        self._looked_at: datetime | None = None
        self._applied_at: datetime | None = None

    @property
    def config(self) -> Config:
        """The config that is in force."""
        return self._loaded.config

    def apply(self, path_text: str) -> None:
        """Apply the config at a path to tasks and to this process; raises ArgosError."""
        path, now = Path(path_text), self._clock.utcnow()
        loaded = self._read_anew(path)
        reconcile(self._database, loaded, now=now)
        self._path = path
        self._take(loaded)
        # What we have applied ourselves need not be read once more.
        self._applied_at = now

    def look(self) -> None:
        """Read the file anew if somebody has applied a config since the last look."""
        now = self._clock.utcnow()
        if self._looked_at and timedelta() <= now - self._looked_at < LOOK_INTERVAL:
            return
        is_first = self._looked_at is None
        self._looked_at = now
        with self._database.reading() as session:
            applied_at = queries.get_config_applied_at(session)
        if applied_at == self._applied_at:
            return
        self._applied_at = applied_at
        if is_first or self._path is None:
            return
        try:
            self._take(self._read_anew(self._path))
        except ConfigError as err:
            log.warning("The changed config cannot be used; the former stays: %s", err)

    def _read_anew(self, path: Path) -> LoadedConfig:
        """The config at a path: what is in force, where its files have not changed.

        To parse a hundred thousand websites keeps a core busy for a dozen seconds.
        """
        if path == self._path and self._loaded.sources.are_unchanged():
            return self._loaded
        return self._read(path)

    def _take(self, loaded: LoadedConfig) -> None:
        if loaded is self._loaded:
            return
        for warning in loaded.warnings:
            log.warning("%s", warning)
        with self._lock:
            is_changed = loaded.config != self.config
            self._loaded = loaded
        if is_changed:
            log.info("Took over a changed config.")
