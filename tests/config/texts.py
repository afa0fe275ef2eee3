"""Small configs for tests, written into a folder of their own."""

from pathlib import Path

HEAD = """\
general:
  db: {url: "sqlite:///argos.db"}
  cookie_secret: "${COOKIE_SECRET}"
  frequency: "5m"
  alerts: {ok: [], warning: [], critical: [], unknown: [], no_agent: []}
service: {secrets: []}
ssl: {thresholds: []}
recurring_tasks: {max_results_age: "1y", max_lock_seconds: 61, time_without_agent: 1}
"""
"""A config without its websites, in eight lines."""

ENVIRON = {"COOKIE_SECRET": "a secret of the tests"}


def website(host: str) -> str:
    """A website as an entry of a list, in two lines."""
    return f'- domain: "https://{host}.example.org"\n  paths: []\n'


def write(folder: Path, **texts: str) -> Path:
    """Write files, `__` in a name standing for `/`; return the one named `config`."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "config.yaml"
