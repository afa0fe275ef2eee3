"""Debian's programs that are needed, and the packages that have them."""

import os
import shutil
import subprocess
from pathlib import Path

POSTGRESQL = Path("/usr/lib/postgresql/15/bin")

_PROGRAMS = {
    "etcd": "etcd-server",
    "patroni": "patroni",
    "haproxy": "haproxy",
    "pgbouncer": "pgbouncer",
    "setpriv": "util-linux",
    str(POSTGRESQL / "postgres"): "postgresql-15",
    str(POSTGRESQL / "psql"): "postgresql-client-15",
}
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing_packages() -> list[str]:
    """What has to be installed first."""
    missing = {
        package
        for program, package in _PROGRAMS.items()
        if shutil.which(program, path=_SEARCHED) is None
    }
    if "patroni" not in missing and not _has_etcd_client():
        missing.add("python3-etcd")
    return sorted(missing)


def _has_etcd_client() -> bool:
    """Whether Patroni, which runs on the system's Python, can speak to etcd."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", "import patroni.dcs.etcd3"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def find(program: str) -> str:
    """The path of a program that is there."""
    path = shutil.which(program, path=_SEARCHED)
    assert path is not None, program
    return path


def unprivileged() -> list[str]:
    """What to put before a command that refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return [find("setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
