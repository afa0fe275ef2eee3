"""A website that takes its time: `python -m bench.agent.slow_site PORT PORT PEM SECONDS`.

It answers every request after so many seconds, over HTTP at the first port and over
HTTPS at the second, and closes the connection.
"""

import asyncio
import ssl
import sys

import uvloop

PAGE = b"<html>" + b"argos ok " * 64 + b"</html>"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: slow\r\nContent-Type: text/html\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)
)


class Visit(asyncio.Protocol):
    """One connection."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._has_asked = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, _data: bytes) -> None:
        if not self._has_asked:
            self._has_asked = True
            asyncio.get_running_loop().call_later(self._delay_s, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)
            self._transport.close()


async def main(http: int, https: int, pem: str, delay_s: float) -> None:
    """Serve until the process is ended."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    loop = asyncio.get_running_loop()
    for port, tls in ((http, None), (https, context)):
        await loop.create_server(
            lambda: Visit(delay_s), "127.0.0.1", port, ssl=tls, backlog=4096
        )
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
    )
