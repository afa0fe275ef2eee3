"""The zoo: hostile and odd servers, each with the one outcome that it must have."""

from tests.agent.engine.zoo import (
    byte_streams,
    documents,
    encodings,
    handshakes,
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
    polite,
)

__all__ = ["CAP", "MEMBERS", "SUBJECTS", "Member"]
