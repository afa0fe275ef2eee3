"""The server. Importing it starts nothing; `argos.server:app` is built when asked for."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "app":
        from argos.server import main

        return main.app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
