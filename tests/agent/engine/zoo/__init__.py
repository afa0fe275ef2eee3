"""The zoo: hostile and odd servers, each with the one outcome that it must have."""

from tests.agent.engine.zoo import (
    byte_streams,
    documents,
    encodings,
    handshakes,
    http2,
    names,
    polite,
    redirects,
    timing,
)
from tests.agent.engine.zoo.member import CAP, MEMBERS, Member

SUBJECTS = (
    timing,
    byte_streams,
    encodings,
    documents,
    redirects,
    names,
    handshakes,
    http2,
    polite,
)

__all__ = ["CAP", "MEMBERS", "SUBJECTS", "Member"]
