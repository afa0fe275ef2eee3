"""What the tutorial tells people to type works, in the order in which it stands there."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-notice.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def find_free_ports(count):
    import socket

    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


@pytest.fixture
def argos_on_path(tmp_path):
    """A folder that holds the command `argos` of this checkout."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "argos"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m argos "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.mark.timeout(120)
def test_the_tutorial_runs(tmp_path, argos_on_path):
    site_port, argos_port = find_free_ports(2)
    blocks = _BLOCK.findall(TUTORIAL.read_text())
    script = "\n".join(["set -eu", *blocks])
    script = script.replace("8081", str(site_port)).replace("8000", str(argos_port))
    folder = tmp_path / "work"
    folder.mkdir()

    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{argos_on_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    output = ""
    try:
        for line in process.stdout:
            output += line
            if "severity=ok" in line:
                break
        code = process.wait(timeout=30)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.stdout.close()

    assert code == 0, output
    assert "severity=critical" in output
    assert len(blocks) == 7


def test_the_readmes_commands_exist():
    commands = [
        command
        for block in _BLOCK.findall((ROOT / "README.md").read_text())
        for command in block.split()
    ]

    assert commands == ["./scripts/run", "./scripts/test"]
    for command in commands:
        assert os.access(ROOT / command, os.X_OK)
