"""A real nginx with many virtual hosts, each at a loopback address of its own."""

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.e2e.programs import Program, clean_environment
from tests.e2e.trust import KeyPair
from tests.e2e.waiting import wait_until

_MAIN = """
daemon off;
worker_processes 1;
pid nginx.pid;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type text/html;
  server_tokens off;
  client_body_temp_path temp;
  proxy_temp_path temp;
  fastcgi_temp_path temp;
  uwsgi_temp_path temp;
  scgi_temp_path temp;
  {servers}
}}
"""

_SERVER = """
server {{
  listen {address}:{port}{ssl};
  {certificate}
  if (-f {flags}/{name}.500) {{ return 500 "broken"; }}
  if (-f {flags}/{name}.444) {{ return 444; }}
  {body}
}}
"""

# Plain HTTP on the port of HTTPS, which is where `http-to-https` asks.
_CERTIFICATE = """
  ssl_certificate {pair.certificate};
  ssl_certificate_key {pair.key};
  error_page 497 =301 https://$host:$server_port$request_uri;
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A virtual host."""

    address: str
    body: str
    """What stands in its server block, in nginx's own language."""
    pair: KeyPair | None = None
    """What it shows over HTTPS; None: it speaks HTTP."""

    @property
    def name(self) -> str:
        return self.address.replace(":", "-").strip("[]")


class Nginx:
    """An nginx of our own, in the foreground, on ports and folders of its own."""

    def __init__(
        self, binary: str, folder: Path, hosts: Iterable[Host], *, port: int
    ) -> None:
        self.port = port
        self._folder = folder
        self._flags = folder / "flags"
        for path in (folder, self._flags, folder / "temp"):
            path.mkdir(exist_ok=True)
        self.hosts = tuple(hosts)
        (folder / "nginx.conf").write_text(self._config())
        command: Sequence[str | Path] = (
            *(binary, "-p", folder, "-c", folder / "nginx.conf"),
            *("-e", folder / "error.log"),
        )
        self._program = Program(
            command, log=folder / "log", cwd=folder, env=clean_environment(folder)
        )

    def url(self, host: Host, path: str = "") -> str:
        scheme = "http" if host.pair is None else "https"
        return f"{scheme}://{host.address}:{self.port}{path}"

    def break_(self, host: Host, how: str = "500") -> None:
        """From the next request on: answer 500, or with "444" hang up unanswered."""
        (self._flags / f"{host.name}.{how}").touch()

    def heal(self, host: Host) -> None:
        """Be well again, from the next request on."""
        for flag in self._flags.glob(f"{host.name}.*"):
            flag.unlink()

    def _config(self) -> str:
        servers = "".join(
            _SERVER.format(
                address=host.address,
                port=self.port,
                name=host.name,
                flags=self._flags,
                body=host.body,
                ssl="" if host.pair is None else " ssl",
                certificate=""
                if host.pair is None
                else _CERTIFICATE.format(pair=host.pair),
            )
            for host in self.hosts
        )
        # As root it would drop to a user who cannot look into our folders.
        user = "user root;" if os.geteuid() == 0 else ""
        return _MAIN.format(user=user, servers=servers)

    def __enter__(self) -> Self:
        self._program.__enter__()
        try:
            wait_until(
                self._is_up, within_s=15, what=f"nginx: {self._folder}/error.log"
            )
        except AssertionError:
            self._program.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._program.__exit__()

    def _is_up(self) -> bool:
        for host in self.hosts:
            with socket.create_connection((host.address.strip("[]"), self.port), 1):
                pass
        return True
