"""What the policy says of addresses, remembered: reading one is slow."""

from argos.agent.engine.address import Policy, read_address
from argos.agent.engine.request import DEFAULT_PORTS, ProbeRefusedError
from argos.core.options import split_name_server

_MAX_REFUSALS = 4096


class Gate:
    """The policy of a worker."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._refusals: dict[tuple[str, int], str | None] = {}

    def sift(
        self, addresses: tuple[str, ...], port: int
    ) -> tuple[tuple[str, ...], str | None]:
        """Those that may be probed at this port, and why the first other may not."""
        refusals = [self.refusal(address, port) for address in addresses]
        if not any(refusals):
            return addresses, None
        allowed = zip(addresses, refusals, strict=True)
        reason = next(refusal for refusal in refusals if refusal)
        return tuple([address for address, refusal in allowed if not refusal]), reason

    def refusal(self, address: str, port: int) -> str | None:
        """Why this address and port may not be probed; None: they may."""
        try:
            return self._refusals[address, port]
        except KeyError:
            pass
        if len(self._refusals) >= _MAX_REFUSALS:
            self._refusals.clear()
        parsed = read_address(address)
        assert parsed is not None
        refusal = self._refusals[address, port] = self._policy.refusal(parsed, port)
        return refusal

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
