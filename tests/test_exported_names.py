"""The names that others may import, and what importing them may cost."""

import json

import pytest

from argos import VERSION
from tests.interpreter import run_python

NAMES = {
    "argos": ["VERSION"],
    "argos.agent": ["ArgosAgent"],
    "argos.checks": [
        "BaseCheck",
        "CheckNotFound",
        "get_registered_check",
        "get_registered_checks",
    ],
    "argos.commands": ["cli"],
    "argos.schemas": [
        "AgentResult",
        "Config",
        "SerializableException",
        "Task",
        "WebsiteCheck",
    ],
    "argos.server.main": ["get_application"],
    "argos.server.models": ["Base", "ConfigCache", "Result", "Task", "User"],
}

SEVERAL_IMPORTS = """
import importlib, logging, sys, threading
module = importlib.import_module(sys.argv[1])
missing = [name for name in sys.argv[2:] if not hasattr(module, name)]
assert not missing, f"{sys.argv[1]} has no {', '.join(missing)}"
assert not logging.root.handlers, "importing sets up logging"
assert threading.active_count() == 1, "importing starts threads"
"""

CHECK_CLASSES = """
import argos.checks
for name, check in argos.checks.get_registered_checks().items():
    assert name == check.name
    assert getattr(argos.checks, check.__name__) is check
    print(name)
"""

COMMAND = """
import contextlib, io, json, sys
from argos.commands import cli
with contextlib.redirect_stdout(io.StringIO()) as shown:
    cli(sys.argv[1:], standalone_mode=False)
print(json.dumps([shown.getvalue(), list(sys.modules)]))
"""

AGENT = """
import json, sys
from argos.agent import ArgosAgent
print(json.dumps(list(sys.modules)))
"""

NOT_FOR_AGENTS = {
    "argos.channels",
    "argos.schemas",
    "argos.server",
    "alembic",
    "argon2",
    "bcrypt",
    "fastapi",
    "jinja2",
    "psycopg",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "yaml",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_importable_with_an_empty_environment(module):
    assert run_python(SEVERAL_IMPORTS, module, *NAMES[module]) == ""


def test_each_check_class_is_importable_from_checks():
    listed = run_python(CHECK_CLASSES).split()

    assert "status-is" in listed
    assert "ssl-certificate-expiration" in listed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["agent", "--help"], "Usage: ", id="agent help"),
        pytest.param(["--help"], "Usage: ", id="help"),
        pytest.param(["version"], VERSION, id="version"),
    ],
)
def test_light_commands_do_not_load_the_server(arguments, words):
    shown, loaded = json.loads(run_python(COMMAND, *arguments))

    assert words in shown
    assert NOT_FOR_AGENTS.isdisjoint(loaded)


def test_the_agent_does_not_load_the_server():
    loaded = json.loads(run_python(AGENT))

    assert NOT_FOR_AGENTS.isdisjoint(loaded)
