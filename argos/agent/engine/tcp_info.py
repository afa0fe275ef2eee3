"""What the kernel knows of a connection."""

import fcntl
import socket
import struct
import termios

_BYTES_RECEIVED = struct.Struct("=128xQ")
"""Of `struct tcp_info` (linux/tcp.h, since 4.1)."""
_NUMBER = struct.Struct("=i")


def count_read_bytes(fd: int) -> int:
    """How many bytes we have read of a TCP connection; 0 where that is not known.

    What has come and waits for us does not count.
    """
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return 0
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        waiting = fcntl.ioctl(fd, termios.FIONREAD, bytes(_NUMBER.size))
        info = sock.getsockopt(socket.IPPROTO_TCP, option, _BYTES_RECEIVED.size)
    except OSError:
        return 0  # it is not TCP, but QUIC
    finally:
        sock.detach()
    if len(info) < _BYTES_RECEIVED.size:
        return 0
    return int(_BYTES_RECEIVED.unpack(info)[0] - _NUMBER.unpack(waiting)[0])
