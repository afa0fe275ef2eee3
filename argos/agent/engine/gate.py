"""What the policy says of addresses, remembered: reading one is slow."""

from argos.agent.engine.address import Policy, read_address
from argos.agent.engine.request import DEFAULT_PORTS, ProbeRefusedError
from argos.core.options import split_name_server

_MAX_SIFTED = 4096

Sifted = tuple[tuple[str, ...], str | None]
"""Addresses that may be probed, and why the first of the others may not."""


class Gate:
    """The policy of a worker."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._sifted: dict[tuple[tuple[str, ...], int], Sifted] = {}

    def sift(self, addresses: tuple[str, ...], port: int) -> Sifted:
        """Those that may be probed at this port, and why the first other may not."""
        try:
            return self._sifted[addresses, port]
        except KeyError:
            pass
        if len(self._sifted) >= _MAX_SIFTED:
            self._sifted.clear()
        sifted = self._sifted[addresses, port] = self._sift(addresses, port)
        return sifted

    def refusal(self, address: str, port: int) -> str | None:
        """Why this address and port may not be probed; None: they may."""
        return self.sift((address,), port)[1]

    def _sift(self, addresses: tuple[str, ...], port: int) -> Sifted:
        allowed = []
        reason: str | None = None
        for address in addresses:
            parsed = read_address(address)
            assert parsed is not None
            refusal = self._policy.refusal(parsed, port)
            if refusal is None:
                allowed.append(address)
            reason = reason or refusal
        return tuple(allowed), reason

    def check_name_server(self, server: str | None) -> None:
        """Raise ProbeRefusedError unless this name server may be asked."""
        if server is None:
            return
        address, _ = split_name_server(server)
        # Its port is none of a website.
        refusal = self._policy.refusal(address, DEFAULT_PORTS["https"])
        if refusal is not None:
            message = f"This agent may not ask the name server {server}: {refusal}."
            raise ProbeRefusedError(message)
