"""A process that takes notices as mail and over HTTP, and journals each that it takes.

    python -m tests.nemesis.sinks JOURNAL MODE-FILE HTTP-PORT SMTP-PORT

What it does is read from the mode file each time: `fine`, `errors`, `busy` (429), `slow`, or
`cut` (it takes the notice, and says nothing).
"""

import json
import sys
import threading
import time
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

SLOW_S = 2.0


class Journal:
    """What was taken, one JSON object a line, written before it is confirmed."""

    def __init__(self, path: Path, mode: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._mode = mode
        self._lock = threading.Lock()

    @property
    def mode(self) -> str:
        return self._mode.read_text().strip()

    def take(self, target: str, id_: str, content: Any, *, is_cut: bool) -> None:
        line = {"target": target, "id": id_, "content": content, "cut": is_cut}
        with self._lock:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def make_handler(journal: Journal) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            mode = journal.mode
            if mode == "slow":
                time.sleep(SLOW_S)
            if mode in {"errors", "busy"}:
                self.answer(500 if mode == "errors" else 429)
                return
            id_ = self.headers["Idempotency-Key"]
            is_cut = mode == "cut"
            journal.take(self.path, id_, json.loads(body), is_cut=is_cut)
            if is_cut:
                self.close_connection = True
                return
            self.answer(200)

        def answer(self, status: int) -> None:
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Keep quiet."""

    return Handler


class Mailbox:
    """Takes mails, or refuses them for now."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # the library calls it so
        mode = self._journal.mode
        if mode in {"errors", "busy"}:
            return "451 try again later"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        body = mail.get_body(("plain",))
        assert body is not None
        text = body.get_content()
        id_ = str(mail["Message-ID"])
        is_cut = mode == "cut"
        for address in envelope.rcpt_tos:
            self._journal.take(address, id_, text, is_cut=is_cut)
        if is_cut:
            server.transport.close()
        return "250 OK"


def main(journal_path: str, mode: str, http_port: str, smtp_port: str) -> None:
    journal = Journal(Path(journal_path), Path(mode))
    mails = Controller(Mailbox(journal), hostname="127.0.0.1", port=int(smtp_port))
    mails.start()
    server = ThreadingHTTPServer(("127.0.0.1", int(http_port)), make_handler(journal))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
