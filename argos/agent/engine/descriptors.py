"""How many probes this process may have under way, as its descriptors go."""

import resource

from argos.errors import EngineError

# Beside one socket per probe: closing ones, and what Python and c-ares keep open.
_PER_PROBE = 2
_OTHERS = 64


def most_probes() -> int | None:
    """How many probes a worker can have under way; None: without a limit.

    By the hard limit, which workers raise their own to.
    """
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return None
    return max(0, limit - _OTHERS) // _PER_PROBE


def check_descriptor_limit(slots: int) -> None:
    """Raise EngineError, with the mend, when so many probes cannot be under way."""
    most = most_probes()
    if most is not None and most < slots:
        _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        raise EngineError(
            f"{slots} probes at once need {slots * _PER_PROBE + _OTHERS} file"
            f" descriptors per worker, and the limit is {limit}: take fewer, or raise"
            " it (ulimit -Hn)."
        )
