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
        self.config: Config = loaded.config
        self._database = database
        self._clock = clock
        self._read = read
        self._path = path
        self._lock = threading.Lock()
        self._looked_at: datetime | None = None
        self._applied_at: datetime | None = None

    def apply(self, path_text: str) -> None:
        """Apply the config at a path to tasks and to this process; raises ArgosError."""
        path = Path(path_text)
        loaded = self._read(path)
        reconcile(self._database, loaded, now=self._clock.utcnow())
        self._path = path
        self._take(loaded)

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
            self._take(self._read(self._path))
        except ConfigError as err:
            log.warning("The changed config cannot be used; the former stays: %s", err)

    def _take(self, loaded: LoadedConfig) -> None:
        for warning in loaded.warnings:
            log.warning("%s", warning)
        with self._lock:
            if loaded.config != self.config:
                self.config = loaded.config
                log.info("Took over a changed config.")
