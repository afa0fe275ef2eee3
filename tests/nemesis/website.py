"""A website whose pages break and heal after so many probes each."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random


class Website:
    """Pages `/site/N`; each is up for some probes, then down for some, and so on."""

    def __init__(self, rng: Random) -> None:
        self._lock = threading.Lock()
        self._left: Counter[str] = Counter()
        self._is_up: dict[str, bool] = {}
        self._rng = rng
        self._is_over = False
        self.changes = 0
        website = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if website.probe(self.path) else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

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
        self._server.shutdown()
        self._server.server_close()
