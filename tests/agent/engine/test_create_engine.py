"""Which engine an agent gets."""

import subprocess
import sys

import pytest

from argos.agent.engine import EngineSettings, create_engine
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
