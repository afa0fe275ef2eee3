"""The wheel holds all that Argos needs, and works where nothing else is."""

import re
import signal
import subprocess
import urllib.request
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from argos import VERSION
from tests.tree import ROOT, tracked_files

CONFIG = """
general:
  db:
    url: "sqlite:///{folder}/argos.db"
  cookie_secret: "not a secret, but long enough to be one"
  frequency: "1m"
  alerts: {{ok: [], warning: [], critical: [], unknown: [], no_agent: []}}
service:
  secrets: ["not a secret either, but long enough too"]
ssl:
  thresholds: ["1d": critical]
recurring_tasks:
  max_results_age: "90d"
  max_lock_seconds: 100
  time_without_agent: 5
websites: []
"""


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def _read(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"argos_panoptes-{VERSION}.dist-info/{name}").decode()


def test_the_wheel_holds_each_file_of_the_package_and_no_other(wheel):
    package = {
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.is_relative_to(ROOT / "argos")
    }

    in_wheel = {name for name in _names(wheel) if ".dist-info/" not in name}

    assert in_wheel == package
    assert "argos/config-example.yaml" in in_wheel
    assert "argos/server/migrations/env.py" in in_wheel
    for folder, suffix in [
        ("templates", ".html"),
        ("static", ".css"),
        ("migrations/versions", ".py"),
    ]:
        assert any(
            name.startswith(f"argos/server/{folder}/") and name.endswith(suffix)
            for name in in_wheel
        ), f"no {suffix} file in {folder}"


def test_the_metadata_says_what_it_is(wheel):
    metadata = HeaderParser().parsestr(_read(wheel, "METADATA"))

    assert metadata["Name"] == "argos-panoptes"
    assert metadata["Version"] == VERSION
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in _read(wheel, "licenses/LICENSE")
    assert "argos = argos.commands:cli" in _read(wheel, "entry_points.txt")


def test_argos_runs_from_the_wheel_alone(clean_environment, tmp_path):
    argos = subprocess.run(
        [clean_environment / "argos", "version"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )

    assert argos.stderr == ""
    assert VERSION in argos.stdout
    assert argos.returncode == 0


def test_pages_are_served_from_the_wheel_alone(clean_environment, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(folder=tmp_path))
    config.chmod(0o600)
    up = subprocess.Popen(
        [clean_environment / "argos", "up", "--port", "0", "--config", config],
        cwd=tmp_path,
        env={},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with up:
        try:
            assert up.stdout is not None
            said = []
            for line in up.stdout:
                said.append(line)
                if "Application startup complete" in line:
                    break
            text = "".join(said)
            address = re.search(r"http://127\.0\.0\.1:\d+/", text)
            assert address is not None, text

            with urllib.request.urlopen(address[0], timeout=10) as answer:
                page = answer.read().decode()
            stylesheet = re.search(r'href="/([^"]+\.css[^"]*)"', page)
            assert stylesheet is not None, page
            with urllib.request.urlopen(
                address[0] + stylesheet[1], timeout=10
            ) as answer:
                assert answer.status == 200

            up.send_signal(signal.SIGINT)
            assert up.wait(timeout=10) == 0, text + up.stdout.read()
        finally:
            up.terminate()


def test_the_clean_environment_does_not_see_the_checkout(clean_environment, tmp_path):
    where = subprocess.run(
        [clean_environment / "python", "-c", "import argos; print(argos.__file__)"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )

    assert Path(where.stdout).is_relative_to(clean_environment.parent)
