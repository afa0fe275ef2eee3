"""Making probes: the engines and the choice between them."""

import logging
import os
from importlib.util import find_spec

from argos.agent.engine.interface import EngineSettings, ProbeEngine

logger = logging.getLogger(__name__)

__all__ = ["EngineSettings", "ProbeEngine", "create_engine"]


_WORKER_LIBRARIES = ("pycurl", "pycares")


def create_engine(settings: EngineSettings) -> ProbeEngine:
    """The best engine that this machine has the libraries for.

    Engines are imported here: a probe worker lives in this package too, and must not
    carry what only the agent needs. The agent in turn only looks whether the workers'
    libraries are there; loaded, they would cost it 6 MB.
    """
    missing = [name for name in _WORKER_LIBRARIES if find_spec(name) is None]
    if missing:
        from argos.agent.engine.httpx_engine import HttpxEngine

        logger.warning(
            "Probing with httpx2, which costs many times more and tells less of bad"
            " certificates, since this is not installed: %s",
            ", ".join(missing),
        )
        return HttpxEngine(settings)
    from argos.agent.engine.curl_engine import CurlEngine
    from argos.agent.engine.link import worker_environment

    return CurlEngine(settings, environment=worker_environment(os.environ))
