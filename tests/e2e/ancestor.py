"""Argos 0.10.3, in an environment of its own; nothing of it is imported by us."""

import fcntl
import subprocess
import sys
import venv
from pathlib import Path

import pytest

VERSION = "0.10.3"
PINS = Path(__file__).parent / "argos-0.10.3.txt"
INSTALL_LIMIT_S = 600


def find_ancestor(folder: Path) -> Path:
    """Its command; installed on the first call, by one process while others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "venv" / "bin" / "argos"
    done = folder / f"installed-{sys.version_info.major}.{sys.version_info.minor}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.exists() and _works(command)):
            _install(folder / "venv")
            done.touch()
    return command


def _works(command: Path) -> bool:
    """Whether it still does; the Python that it was installed for may be gone."""
    try:
        done = subprocess.run([command, "version"], capture_output=True, check=False)
    except OSError:
        return False
    return done.stdout.decode().strip() == VERSION


def _install(folder: Path) -> None:
    venv.create(folder, with_pip=False, clear=True, symlinks=True)
    # Our own pip puts it there, so that none has to be unpacked first.
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    into = ["--python", str(folder / "bin" / "python")]
    wheels = ["--no-compile", "--only-binary", ":all:", "--constraint", str(PINS)]
    installed = subprocess.run(
        [*pip, *into, "install", *wheels, f"argos-monitoring=={VERSION}"],
        capture_output=True,
        text=True,
        timeout=INSTALL_LIMIT_S,
        check=False,
    )
    if installed.returncode != 0:
        pytest.skip(f"pip cannot install Argos {VERSION}: {installed.stderr[-500:]}")
