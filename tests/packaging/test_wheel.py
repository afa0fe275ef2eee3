"""The wheel holds all that Argos needs, and works where nothing else is."""

import subprocess
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from argos import VERSION
from tests.tree import ROOT, tracked_files


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
