"""The files of the repository."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]

NOT_OURS = {".git", ".venv", "__pycache__", "build", "dist"}


def tracked_files() -> list[Path]:
    """Files under version control, new ones too; without it (an sdist), all there are."""
    # Another user may own the checkout: git would refuse even to list it.
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(
        [*git, "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        found = {ROOT / name for name in listed.stdout.split("\0") if name}
    else:
        found = {path for path in ROOT.rglob("*") if NOT_OURS.isdisjoint(path.parts)}
    return sorted(path for path in found if path.is_file())
