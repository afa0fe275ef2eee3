"""A website whose pages break and heal after so many probes each."""

import threading
from collections import Counter
from random import Random

from tests.website import LocalWebsite


class Website:
    """Pages `/site/N`; each is up for some probes, then down for some, and so on."""

    def __init__(self, rng: Random) -> None:
        self._lock = threading.Lock()
        self._left: Counter[str] = Counter()
        self._is_up: dict[str, bool] = {}
        self._rng = rng
        self._is_over = False
        self.changes = 0
        self._website = LocalWebsite(lambda path, _: 200 if self.probe(path) else 503)

    @property
    def url(self) -> str:
        return self._website.url

    def probe(self, path: str) -> bool:
        """Whether a page is up this time."""
        with self._lock:
            if self._is_over:
                return True
            if self._left[path] <= 0:
                self._is_up[path] = not self._is_up.get(path, False)
                self._left[path] = self._rng.randint(2, 7)
                self.changes += 1
            self._left[path] -= 1
            return self._is_up[path]

    def heal(self) -> None:
        """From now on, all is well."""
        with self._lock:
            self._is_over = True

    def close(self) -> None:
        self._website.close()
