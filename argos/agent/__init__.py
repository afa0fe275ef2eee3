"""The agent: it leases tasks, probes websites, and reports."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argos.agent.main import ArgosAgent

__all__ = ["ArgosAgent"]


def __getattr__(name: str) -> type["ArgosAgent"]:
    # Probe workers import this package too, and must not carry the agent's libraries.
    if name != "ArgosAgent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from argos.agent.main import ArgosAgent

    return ArgosAgent
