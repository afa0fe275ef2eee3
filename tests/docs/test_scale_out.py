"""What a user runs to measure Argos on a machine of their own, as the how-to tells."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from argos.server.routes.access import ROUTES
from bench.scale.paths import NOT_ASKED, PATHS

ROOT = Path(__file__).resolve().parents[2]


def test_each_page_and_each_call_that_reads_is_measured():
    reading = {path for method, path in ROUTES if method == "GET"}

    assert set(PATHS) == reading - NOT_ASKED


@pytest.mark.parametrize("route", PATHS)
def test_what_is_asked_for_is_of_its_route(route):
    parts = re.split(r"\{\w+\}", route)
    pattern = r"[^/]+".join(re.escape(part) for part in parts) + r"(\?.*)?"

    for path in PATHS[route]:
        assert re.fullmatch(pattern, path), path


@pytest.mark.timeout(300)
def test_one_command_measures_reload_pages_leases_and_reports():
    how_to = (ROOT / "docs/howto/scale-out.md").read_text()
    assert "python -m bench.scale --tasks 200000" in how_to

    words = "--databases sqlite --tasks 200 --results 2000 --bad 500 --long 1"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.scale", *words.split()),
            *("--rounds", "1", "--seconds", "1"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert " -> " not in said, said
    rows = re.findall(r"^( +[0-9.]+){5}  (/\S*)$", said, re.MULTILINE)
    assert len(rows) == sum(map(len, PATHS.values()))
    for line in ("reload, the first", "reload, unchanged", "reload, 1 % changed"):
        assert re.search(rf"^{line}: [0-9.]+ s \(", said, re.MULTILINE), said
    assert re.search(r"^lease of 100 groups: p50", said, re.MULTILINE)
    assert re.search(r"stored [1-9][0-9]* results a second", said)
