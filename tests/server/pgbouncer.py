"""A PgBouncer of our own before the tests' PostgreSQL, in transaction mode."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from tests.e2e.programs import free_port
from tests.e2e.waiting import wait_until

CONFIG = """
[databases]
* = host={host} port={port} user=argos

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
admin_users = argos
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
"""
"""Two server connections only: whoever leaves something behind on one is found out."""


@contextmanager
def run_pgbouncer(binary: str, server_url: str) -> Iterator[str]:
    """Start it before a PostgreSQL server; yield the URL of its `postgres` database."""
    server = make_url(server_url)
    folder = Path(tempfile.mkdtemp(prefix="argos-pgbouncer-", dir="/tmp"))
    port = free_port()
    host = server.query.get("host") or server.host
    (folder / "pgbouncer.ini").write_text(
        CONFIG.format(
            host=host, port=server.port or 5432, listen_port=port, folder=folder
        )
    )
    as_user: list[str] = []
    if os.geteuid() == 0:
        # It refuses to run as root.
        shutil.chown(folder, "nobody")
        as_user = ["-u", "nobody"]
    process = subprocess.Popen(
        [binary, "-q", *as_user, str(folder / "pgbouncer.ini")], cwd=folder
    )
    try:
        wait_until(lambda: _listens(port), within_s=10, what="PgBouncer")
        yield f"postgresql://argos@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True
