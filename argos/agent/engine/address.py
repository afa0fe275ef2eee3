"""Which addresses and ports may be probed: our own table, not the standard library's.

`ipaddress.is_global` of Python 3.11 calls 192.0.0.192, the multicast networks, NAT64 of
a metadata address and 6to4 of loopback "global", and `is_private` does not know
100.64.0.0/10. An address is judged together with every IPv4 address it carries.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# Where clouds answer with credentials to whoever asks from the machine itself.
METADATA = _networks(
    "169.254.0.0/16",  # link-local: most clouds, at 169.254.169.254
    "100.100.100.200/32",  # Alibaba Cloud
    "192.0.0.192/32",  # Oracle Cloud
    "fe80::/10",  # link-local
    "fd00:ec2::254/128",  # Amazon over IPv6
)

# IANA's special-purpose registry, with multicast and what is reserved.
_NOT_PUBLIC_V4 = _networks(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
)
_PUBLIC_V6 = _networks("2000::/3", "64:ff9b::/96")
_NOT_PUBLIC_V6 = _networks(
    "2001::/23",  # protocol assignments, Teredo among them
    "2001:db8::/32",
    "3fff::/20",
)

_NAT64 = _networks("64:ff9b::/96", "64:ff9b:1::/48")
_V4_COMPATIBLE = ip_network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)

# Not the web: a request sent there can be read as commands (SMTP, Redis, memcached …).
REFUSED_PORTS = frozenset({
    *(0, 1, 7, 9, 13, 19, 20, 21, 22, 23, 25, 37, 42, 53, 69, 79, 109, 110, 111),
    *(113, 119, 123, 135, 137, 138, 139, 143, 161, 179, 389, 427, 445, 465, 514),
    *(515, 548, 554, 587, 631, 636, 873, 989, 990, 993, 995, 1433, 1521, 1723),
    *(2049, 2375, 2376, 2379, 3306, 3389, 5060, 5061, 5432, 5672, 5900, 6000, 6379),
    *(6443, 6667, 9042, 9200, 9300, 10250, 11211, 27017),
})


@dataclass(frozen=True, slots=True)
class Policy:
    """What the administrator of an agent lets it probe; metadata addresses never."""

    allow: tuple[Network, ...] = ()
    """Exceptions to `public_only`; a metadata address only if named alone (/32, /128)."""
    deny: tuple[Network, ...] = ()
    """Never probed, whatever `allow` says."""
    public_only: bool = False

    @classmethod
    def from_texts(
        cls,
        *,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        public_only: bool = False,
    ) -> "Policy":
        """Read networks such as "10.0.0.0/8". Raises ValueError on anything else."""
        return cls(_networks(*allow), _networks(*deny), public_only)

    def refusal(self, address: Address, port: int) -> str | None:
        """Why this address and port may not be probed; None: they may."""
        faces = (address, *embedded_addresses(address))
        if any(_is_in(face, self.deny) for face in faces):
            return f"{address} lies in a denied network"
        if any(_is_in(face, METADATA) and not self._names(face) for face in faces):
            return f"{address} is a metadata or link-local address"
        is_excepted = all(_is_in(face, self.allow) for face in faces)
        if is_excepted or not self.public_only:
            return None
        return self._refusal_of_private(address, faces, port)

    def _refusal_of_private(
        self, address: Address, faces: tuple[Address, ...], port: int
    ) -> str | None:
        if not all(is_public(face) or _is_in(face, self.allow) for face in faces):
            return f"{address} is not a public address"
        return f"port {port} is not for websites" if port in REFUSED_PORTS else None

    def _names(self, address: Address) -> bool:
        return any(
            network.num_addresses == 1 and network.network_address == address
            for network in self.allow
        )


def embedded_addresses(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address carries, by any known transition scheme."""
    if isinstance(address, IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    # ::1 and :: are loopback and unspecified, not IPv4-compatible addresses.
    is_compatible = address in _V4_COMPATIBLE and int(address) > 1
    is_isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    if is_compatible or is_isatap or _is_in(address, _NAT64):
        found.append(low)
    return tuple(embedded for embedded in found if embedded is not None)


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet could own this address; carried ones not seen."""
    if isinstance(address, IPv4Address):
        return not _is_in(address, _NOT_PUBLIC_V4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    return _is_in(address, _PUBLIC_V6) and not _is_in(address, _NOT_PUBLIC_V6)


def read_address(text: str) -> Address | None:
    """An address in its canonical form; None for a name and for odd spellings."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A zone ("fe80::1%eth0") is not part of a URL that works elsewhere.
    return None if getattr(address, "scope_id", None) else address


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
