"""Whatever stands in a config, it is read or refused with places; nothing else happens."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from argos.errors import ConfigError, Fault
from argos.server.plan import wanted_tasks
from argos.server.settings import read_config
from tests.tree import ROOT

FOLDER = Path(__file__).parent
SEEDS = [
    path.read_text(encoding="utf-8")
    for path in [ROOT / "argos/config-example.yaml", FOLDER / "good/ancestor.yaml"]
]
ENVIRON = dict.fromkeys(
    ["COOKIE_SECRET", "DATABASE_PASSWORD", "LDAP_PASSWORD", "MAIL_PASSWORD"], "a"
) | dict.fromkeys(["GOTIFY_TOKEN", "APPRISE_URL", "AGENT_TOKEN"], "b")
PIECES = [
    *"\n\t :-?[]{}&*#|>'\"%@`\\~é\0\x07\u2028",
    "\n  ",
    "\n    - ",
    ": ",
    "[a]",
    "{a: b}",
    "&x ",
    "*x",
    "<<: ",
    "!include parts/website.yaml",
    "!include '*.yaml'",
    "!!binary /w==",
    "!!timestamp x",
    "!!set {a}",
    "${COOKIE_SECRET}",
    "${NOT_SET}",
    "file:/nowhere",
    "-1",
    "1.5",
    ".nan",
    "12:30",
    "99999999999999999999",
    "2026-01-01",
    "yes",
    "null",
    "5m",
    "https://example.org",
]
Edit = tuple[float, int, str]
edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 30),
        st.sampled_from(PIECES) | st.text(max_size=3),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that all examples share, with a file to include."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(FOLDER / "bad/parts", Path(name) / "parts")
        yield Path(name)


def _edited(text: str, changes: list[Edit]) -> str:
    """Take some characters out and put a piece in, at several places."""
    for share, removed, piece in changes:
        start = int(share * len(text))
        text = text[:start] + piece + text[start + removed :]
    return text


@given(st.sampled_from(SEEDS), edits)
def test_an_edited_config_is_used_or_refused_with_places(folder, text, changes):
    path = folder / "config.yaml"
    path.write_bytes(_edited(text, changes).encode("utf-8", "surrogatepass"))

    assert all(fault.line > 0 and fault.column > 0 for fault in _faults(path)[:100])


def _faults(path: Path) -> list[Fault]:
    try:
        loaded = read_config(path, environ=ENVIRON)
    except ConfigError as error:
        return error.faults
    wanted_tasks(loaded.config)
    return []
