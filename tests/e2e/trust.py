"""Certificates: good ones, and each kind of bad one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The files of a certificate, with its chain, and of its key."""

    certificate: Path
    key: Path


class Trust:
    """An authority that programs trust by `file`, and one that nobody knows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._known = trustme.CA()
        self._unknown = trustme.CA()
        self.file = folder / "ca.pem"
        self._known.cert_pem.write_to_path(self.file)

    def good(self, *names: str, ends_in: timedelta = 90 * DAY) -> KeyPair:
        """A certificate for these names; with a negative interval, an expired one."""
        now = datetime.now(UTC)
        leaf = self._known.issue_cert(
            *names, not_before=now - 400 * DAY, not_after=now + ends_in
        )
        return self._write(leaf, f"good-{names[0]}-{ends_in.days}")

    def untrusted(self, *names: str) -> KeyPair:
        """A certificate for these names by the authority that nobody knows."""
        return self._write(self._unknown.issue_cert(*names), f"untrusted-{names[0]}")

    def _write(self, leaf: trustme.LeafCert, stem: str) -> KeyPair:
        pair = KeyPair(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        # A name may be a wildcard or an IPv6 address: both make fine file names here.
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        pair.certificate.write_bytes(chain)
        leaf.private_key_pem.write_to_path(pair.key)
        return pair
