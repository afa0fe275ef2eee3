"""What counts as taken, whatever comes after the status."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from argos.channels.http import HttpSender
from argos.errors import DeliveryError

Answering = Callable[[bytes], str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Makes servers that send some bytes to whoever asks, and hang up."""
    sockets = []

    def serve(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield serve
    for each in sockets:
        each.close()


BROKEN_OFF = b"Content-Length: 100\r\n\r\nsome of it"


def test_i25_what_the_status_confirms_is_sent_though_the_answer_breaks_off(answering):
    sender = HttpSender()

    sender.post_json(answering(b"HTTP/1.1 200 OK\r\n" + BROKEN_OFF), {})
    sender.close()


@pytest.mark.parametrize("begin", [b"HTTP/1.1 503 Busy\r\n" + BROKEN_OFF, b"HTTP/1."])
def test_what_no_status_confirms_is_not(answering, begin):
    sender = HttpSender()

    with pytest.raises(DeliveryError) as caught:
        sender.post_json(answering(begin), {})
    sender.close()

    assert not caught.value.permanent
