"""Whether the libraries of probe workers can be loaded on this machine."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

WORKER_LIBRARIES = ("pycurl", "pycares")
_LIMIT_S = 20.0

# In a process of its own: loaded, they would cost the agent 6 MB, and what is wrong with
# them may end more than the import.
_TRY = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as err:
        text = " ".join(str(err).split())
        print(f"{name} cannot be loaded ({type(err).__name__}: {text})")
        sys.exit(1)
"""


def find_fault(
    environment: Mapping[str, str], names: Sequence[str] = WORKER_LIBRARIES
) -> str | None:
    """What is wrong with the libraries, for a process with this environment; or None."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        return f"this is not installed: {', '.join(missing)}"
    command = [sys.executable, "-P", "-c", _TRY, *names]
    try:
        tried = subprocess.run(  # noqa: S603  # our own interpreter and program
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(environment),
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return f"{' and '.join(names)} cannot be tried: {err}"
    if tried.returncode == 0:
        return None
    said = tried.stdout.decode(errors="replace").strip()
    status = tried.returncode
    return said or f"to load {' and '.join(names)} ends a process (status {status})"
