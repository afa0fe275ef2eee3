"""Run a piece of Python in an interpreter of its own."""

import subprocess
import sys

from tests.tree import ROOT


def run_python(code: str, *arguments: str) -> str:
    """Run code from the repository's root, with an empty environment; return what it says.

    A warning is an error, and an error fails the test with the interpreter's own words.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
