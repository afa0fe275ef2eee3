"""Certificates in all states of health, and server contexts that show them."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

NAMES = ("localhost", "127.0.0.1", "::1")
DAY = timedelta(days=1)

_RSA_WITH, _SHA1, _SHA256 = bytes.fromhex("2a864886f70d0101"), b"\x05", b"\x0b"
"""The signatures' object identifiers, encoded; they are equally long."""


class CertificateShop:
    """An authority that agents trust, and what it and others have signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        self._authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self._intermediate = self._authority.create_child_ca()
        self.ca_file = str(folder / "ca.pem")
        self._authority.cert_pem.write_to_path(self.ca_file)

    def context(self, name: str) -> ssl.SSLContext:
        """A server's context with the certificate of this name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Weak keys and digests are what some of them are about.
        context.set_ciphers("ALL:@SECLEVEL=0")
        self.exchange(context, name)
        return context

    def exchange(self, context: ssl.SSLContext, name: str) -> None:
        """Have a server show the certificate of this name from now on."""
        path = self.folder / f"{name.replace(' ', '-')}.pem"
        if not path.exists():
            path.write_bytes(_RECIPES[name](self))
        context.load_cert_chain(path)

    def issue(self, *names: str, **more) -> bytes:
        return self._authority.issue_cert(
            *(names or NAMES), **more
        ).private_key_and_cert_chain_pem.bytes()

    def issue_from_intermediate(self, *, with_chain: bool) -> bytes:
        leaf = self._intermediate.issue_cert(*NAMES)
        if with_chain:
            return leaf.private_key_and_cert_chain_pem.bytes()
        return leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes()

    def issue_from_expired_intermediate(self) -> bytes:
        key, leaf_key = _key(), _key()
        issuer = _name("Expired authority")
        root_key, root = self._keys()
        intermediate = self._build(
            issuer,
            root.subject,
            (key.public_key(), root_key),
            is_authority=True,
            dates=(self.now - 30 * DAY, self.now - 3 * DAY),
        )
        leaf = self._build(_name("leaf"), issuer, (leaf_key.public_key(), key))
        return _pem(leaf_key, leaf, intermediate)

    def sign(self, *, key=None, subject="leaf", **more) -> bytes:
        """A leaf of the trusted authority, built by hand."""
        key = key or _key()
        root_key, root = self._keys()
        keys = (key.public_key(), root_key)
        return _pem(key, self._build(_name(subject), root.subject, keys, **more))

    def sign_with_sha1(self) -> bytes:
        """A leaf whose signature is of a kind that the library no longer makes."""
        key, leaf_key = rsa.generate_private_key(65537, 2048), _key()
        issuer = _name("Old authority")
        root_key, root = self._keys()
        intermediate = self._build(
            issuer, root.subject, (key.public_key(), root_key), is_authority=True
        )
        leaf = self._build(_name("leaf"), issuer, (leaf_key.public_key(), key))
        draft = leaf.public_bytes(serialization.Encoding.DER)
        draft = draft.replace(_RSA_WITH + _SHA256, _RSA_WITH + _SHA1)
        signed_part = x509.load_der_x509_certificate(draft).tbs_certificate_bytes
        signature = key.sign(signed_part, padding.PKCS1v15(), hashes.SHA1())
        old = x509.load_der_x509_certificate(draft[: -len(signature)] + signature)
        return _pem(leaf_key, old, intermediate)

    def issue_with_long_chain(self) -> bytes:
        """A good leaf, and behind it 300 certificates that nobody needs."""
        root_key, root = self._keys()
        key = _key()
        idle = self._build(
            _name("idle"), root.subject, (key.public_key(), root_key), is_authority=True
        )
        return self.issue() + 300 * idle.public_bytes(serialization.Encoding.PEM)

    def self_sign(self) -> bytes:
        key, name = _key(), _name("all by itself")
        return _pem(key, self._build(name, name, (key.public_key(), key)))

    def issue_from_stranger(self) -> bytes:
        return (
            trustme
            .CA(key_type=trustme.KeyType.ECDSA)
            .issue_cert(*NAMES)
            .private_key_and_cert_chain_pem.bytes()
        )

    def _keys(self):
        key = serialization.load_pem_private_key(
            self._authority.private_key_pem.bytes(), None
        )
        return key, x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())

    def _build(
        self, subject, issuer, keys, *, names=NAMES, is_authority=False, dates=None
    ) -> x509.Certificate:
        public_key, signing_key = keys
        not_before, not_after = dates or (self.now - DAY, self.now + 90 * DAY)
        builder = (
            x509
            .CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(
                x509.BasicConstraints(ca=is_authority, path_length=None), critical=True
            )
        )
        if names:
            alternative = x509.SubjectAlternativeName(list(map(_general_name, names)))
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(signing_key, hashes.SHA256())


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key, *certificates) -> bytes:
    private: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + b"".join(
        c.public_bytes(serialization.Encoding.PEM) for c in certificates
    )


_RECIPES: dict[str, Callable[[CertificateShop], bytes]] = {
    "good": lambda shop: shop.issue(),
    "expired": lambda shop: shop.issue(
        not_before=shop.now - 30 * DAY, not_after=shop.now - 3 * DAY - DAY / 2
    ),
    "expired a moment ago": lambda shop: shop.issue(
        not_before=shop.now - 30 * DAY, not_after=shop.now - DAY / 24
    ),
    "not yet valid": lambda shop: shop.issue(
        not_before=shop.now + 3 * DAY + DAY / 2, not_after=shop.now + 30 * DAY
    ),
    "wrong host": lambda shop: shop.issue("other.example", "www.other.example"),
    "wrong host and expired": lambda shop: shop.issue(
        "other.example", not_before=shop.now - 30 * DAY, not_after=shop.now - 3 * DAY
    ),
    "self-signed": lambda shop: shop.self_sign(),
    "unknown issuer": lambda shop: shop.issue_from_stranger(),
    "wildcard of two": lambda shop: shop.issue("*.two.example"),
    "with an intermediate": lambda shop: shop.issue_from_intermediate(with_chain=True),
    "intermediate missing": lambda shop: shop.issue_from_intermediate(with_chain=False),
    "intermediate expired": lambda shop: shop.issue_from_expired_intermediate(),
    "no alternative names": lambda shop: shop.sign(names=(), subject="localhost"),
    "1,000 names": lambda shop: shop.sign(
        names=(*NAMES, *(f"n{i}.example" for i in range(997)))
    ),
    "10,000 names": lambda shop: shop.sign(
        names=(*NAMES, *(f"n{i}.example" for i in range(9_997)))
    ),
    "wildcard for everything": lambda shop: shop.sign(names=("*",)),
    "valid to the end of time": lambda shop: shop.sign(
        dates=(shop.now - DAY, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    ),
    "valid into 2049": lambda shop: shop.sign(
        dates=(shop.now - DAY, datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC))
    ),
    "valid into 2050": lambda shop: shop.sign(
        dates=(shop.now - DAY, datetime(2050, 1, 1, tzinfo=UTC))
    ),
    "empty subject": lambda shop: shop.sign(subject=""),
    "subject with markup": lambda shop: shop.sign(
        subject="<script>alert(1)</script>\x1b[31m\u202e"
    ),
    "SHA-1": lambda shop: shop.sign_with_sha1(),
    "long chain": lambda shop: shop.issue_with_long_chain(),
    "NUL in the name": lambda shop: shop.sign(names=("localhost\0.evil.example",)),
    "wildcard for a top-level name": lambda shop: shop.sign(names=("*.localhost",)),
    "wildcard within a label": lambda shop: shop.sign(names=("local*",)),
    "begins at the end of time": lambda shop: shop.sign(
        dates=(
            datetime(9999, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        )
    ),
    "name with a comma": lambda shop: shop.sign(
        names=(*NAMES, "a.example, DNS:evil.example")
    ),
    "RSA of 1024 bits": lambda shop: shop.sign(
        key=rsa.generate_private_key(65537, 1024)
    ),
}
