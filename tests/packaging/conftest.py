"""The wheel, built as a release is, and an environment that holds nothing else."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.tree import ROOT


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    _build("sdist", source=ROOT, into=folder)
    [archive] = folder.iterdir()
    return archive


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source archive, so that the archive is shown to be complete."""
    folder = tmp_path_factory.mktemp("wheel")
    # Not `tarfile`: its safe way is missing in 3.11.2, its other way warns in 3.12.
    (folder / "source").mkdir()
    subprocess.run(["tar", "-xzf", sdist, "-C", folder / "source"], check=True)
    [source] = (folder / "source").iterdir()
    _build("wheel", source=source, into=folder / "dist")
    [wheel] = (folder / "dist").iterdir()
    return wheel


@pytest.fixture(scope="session")
def clean_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the wheel and its dependencies only."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False, symlinks=True)
    binaries = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    install = ["install", "--no-index", "--no-deps", "--no-compile", str(wheel)]
    subprocess.run([*pip, "--python", binaries / "python", *install], check=True)
    # The dependencies come from the tests' own environment: tests fetch nothing. A
    # folder named in a .pth file has its own .pth files ignored, so that the checkout
    # stays out of sight.
    site_packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
    borrowed = Path(site_packages) / "borrowed.pth"
    borrowed.write_text(f"{sysconfig.get_path('purelib')}\n")
    return binaries


def _build(target: str, *, source: Path, into: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", into],
        cwd=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
