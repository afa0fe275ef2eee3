"""What the kernel tells of a connection."""

import socket

from argos.agent.engine.tcp_info import count_read_bytes


def test_only_what_was_read_counts():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        other, _ = server.accept()
        with client, other:
            assert count_read_bytes(client.fileno()) == 0

            other.sendall(b"x" * 5000)
            assert len(client.recv(2000, socket.MSG_WAITALL)) == 2000
            assert count_read_bytes(client.fileno()) == 2000

            assert client.recv(3000, socket.MSG_WAITALL) == b"x" * 3000
            assert count_read_bytes(client.fileno()) == 5000


def test_of_what_is_not_tcp_nothing_is_known():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert count_read_bytes(sock.fileno()) == 0
