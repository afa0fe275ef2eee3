"""Making probes: the engines and the choice between them."""

import logging
import os

from argos.agent.engine.interface import EngineSettings, ProbeEngine

logger = logging.getLogger(__name__)

__all__ = ["EngineSettings", "ProbeEngine", "create_engine"]


def create_engine(settings: EngineSettings) -> ProbeEngine:
    """The best engine that this machine has the libraries for.

    Engines are imported here: a probe worker lives in this package too, and must not
    carry what only the agent needs.
    """
    from argos.agent.engine.libraries import find_fault
    from argos.agent.engine.link import worker_environment

    environment = worker_environment(os.environ)
    fault = find_fault(environment)
    if fault is not None:
        from argos.agent.engine.httpx_engine import HttpxEngine

        logger.warning(
            "Probing with httpx2, which costs many times more and tells less of bad"
            " certificates, since %s",
            fault,
        )
        return HttpxEngine(settings)
    from argos.agent.engine.curl_engine import CurlEngine

    return CurlEngine(settings, environment=environment)
