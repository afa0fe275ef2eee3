"""Which engine an agent gets."""

import os
import subprocess
import sys

import pytest

from argos.agent.engine import EngineSettings, create_engine
from tests.e2e.programs import ARGOS, Program, clean_environment, free_port
from tests.tree import ROOT


def test_engine_is_libcurl_where_there_is_one():
    assert create_engine(EngineSettings()).name == "curl"


@pytest.mark.parametrize("missing", ["pycurl", "pycares"])
def test_agent_without_a_library_probes_with_httpx_and_says_so(missing):
    program = f"""if True:
        import importlib.util, logging
        logging.basicConfig()
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == {missing!r} else find(name)
        from argos.agent.engine import EngineSettings, create_engine
        print(create_engine(EngineSettings()).name)
    """

    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert result.stdout.strip() == "httpx2"
    assert f"not installed: {missing}" in result.stderr


_BACKEND = (
    "pycurl: libcurl link-time ssl backends (gnutls) do not include compile-time ssl"
    " backend (openssl)"
)


@pytest.mark.parametrize(
    ("library", "body", "reason"),
    [
        (
            "pycurl",
            f"raise ImportError({_BACKEND!r})",
            f"pycurl cannot be loaded (ImportError: {_BACKEND})",
        ),
        (
            "pycares",
            "raise OSError('libcares.so.2:\\n cannot open shared object file')",
            "pycares cannot be loaded (OSError: libcares.so.2: cannot open shared"
            " object file)",
        ),
        (
            "pycurl",
            "import os; os.abort()",
            "to load pycurl and pycares ends a process (status -6)",
        ),
    ],
    ids=["another TLS", "library gone", "crash"],
)
def test_agent_whose_library_does_not_load_probes_with_httpx_and_says_why(
    tmp_path, monkeypatch, caplog, library, body, reason
):
    (tmp_path / f"{library}.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    engine = create_engine(EngineSettings())

    assert engine.name == "httpx2"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith(f"since {reason}")


def test_agent_starts_and_checks_probe_without_a_libcurl_that_loads(tmp_path):
    (tmp_path / "pycurl.py").write_text(f"raise ImportError({_BACKEND!r})")
    env = clean_environment(tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    nobody = f"http://127.0.0.1:{free_port()}/"
    agent = [*ARGOS, "agent", nobody, "a-token", "--spool-dir", tmp_path / "spool"]
    look = [*ARGOS, "check", nobody, "--json"]

    with Program(agent, log=tmp_path / "agent.log", cwd=tmp_path, env=env) as program:
        program.wait_for_line("Failed to fetch tasks")
        said = program.output
        status = program.stop()
    checked = subprocess.run(
        look, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )

    assert said.count(f"cannot be loaded (ImportError: {_BACKEND})") == 1
    assert "Traceback" not in said
    assert status == 0
    assert _BACKEND in checked.stderr
    assert '"connect"' in checked.stdout
