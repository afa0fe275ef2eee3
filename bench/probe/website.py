"""A website on loopback: nginx with a small page over HTTP and HTTPS."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, create_server
from tempfile import TemporaryDirectory

import certifi
import trustme

PAGE = b"<html><body>" + b"argos ok " * 64 + b"</body></html>"

_CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 8000; multi_accept on; }}
http {{
  access_log off;
  log_format times '$arg_n $request_time';
  keepalive_timeout 0;
  lingering_close off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type text/html;
  # Each check pays for a whole handshake, as a monitor's first visit does.
  ssl_certificate {folder}/server.pem;
  ssl_certificate_key {folder}/server.pem;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache off;
  ssl_session_tickets off;
  server {{
    listen 127.0.0.1:{http} backlog=4096;
    listen 127.0.0.1:{https} ssl backlog=4096;
    root {folder}/www;
    location /page {{ try_files /index.html =404; }}
    location = /timed {{ access_log {folder}/times.log times; return 200 "timed"; }}
  }}
}}
"""


@dataclass(frozen=True)
class Website:
    """Where it is, and whom to trust to reach it over HTTPS."""

    http: str
    https: str
    ca_file: str
    log: Path
    """Of `/timed?n=NUMBER`: each number with nginx's own time in seconds."""


@contextmanager
def running_website(core: int | None) -> Iterator[Website]:
    """Start nginx, on one core if given, and stop it at the end of the block."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if nginx is None:
        sys.exit("nginx is not installed (Debian and Ubuntu: apt install nginx-light)")
    with TemporaryDirectory(prefix="argos-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        http, https = _free_port(), _free_port()
        _write_files(folder, http, https)
        process = subprocess.Popen([
            nginx,
            "-c",
            str(folder / "nginx.conf"),
            "-e",
            str(folder / "error.log"),
        ])
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            _wait_for(http, process)
            yield Website(
                http=f"http://127.0.0.1:{http}/index.html",
                https=f"https://127.0.0.1:{https}/index.html",
                ca_file=str(folder / "ca.pem"),
                log=folder / "times.log",
            )
        finally:
            process.terminate()
            process.wait()


def _write_files(folder: Path, http: int, https: int) -> None:
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_bytes(PAGE)
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.create_child_ca().issue_cert("localhost", "127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    # As many roots as in real life: a store of one would flatter whoever parses it often.
    roots = Path(certifi.where()).read_bytes() + b"\n" + authority.cert_pem.bytes()
    (folder / "ca.pem").write_bytes(roots)
    config = _CONFIG.format(folder=folder, http=http, https=https)
    (folder / "nginx.conf").write_text(config)


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            with create_connection(("127.0.0.1", port), timeout=1):
                return
        except ConnectionRefusedError:
            continue
    sys.exit("nginx did not start")
