"""libcurl handles, set up once for each kind of request and used again and again.

Most probes of a worker differ by their URL and address alone. To tell a handle all the
rest anew for each of them would cost a third of a plain check.
"""

from dataclasses import replace
from functools import lru_cache

import pycurl

from argos.agent.engine.proxy import Proxy
from argos.agent.engine.request import Request
from argos.agent.engine.target import Profile
from argos.agent.engine.transfer import Transfer
from argos.core.options import (
    DEFAULT_TLS_MIN,
    NO_OPTIONS,
    HTTPVersion,
    ProbeOptions,
    TLSVersion,
)

MAX_IDLE = 1024
"""Handles of a worker that wait to be used again; each takes some 10 KB."""
MAX_PROFILES = 512

# One cheap classic share: the post-quantum one of OpenSSL's default list costs 13 % of
# a handshake, and no website asks for it.
_CURVES = "X25519:P-256:P-384:P-521"
_WEB = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS


_HTTP_VERSIONS = {
    HTTPVersion.AUTO: pycurl.CURL_HTTP_VERSION_2TLS,
    HTTPVersion.V1_1: pycurl.CURL_HTTP_VERSION_1_1,
    HTTPVersion.V2: pycurl.CURL_HTTP_VERSION_2TLS,
    HTTPVersion.V2_PRIOR_KNOWLEDGE: pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
    HTTPVersion.V3: pycurl.CURL_HTTP_VERSION_3,
}
_TLS_VERSIONS = {
    TLSVersion.V1_0: pycurl.SSLVERSION_TLSv1_0,
    TLSVersion.V1_1: pycurl.SSLVERSION_TLSv1_1,
    TLSVersion.V1_2: pycurl.SSLVERSION_TLSv1_2,
    TLSVersion.V1_3: pycurl.SSLVERSION_TLSv1_3,
}


class Profiles:
    """All profiles of a worker; bounded, together with their handles."""

    def __init__(
        self,
        *,
        ca_file: str,
        max_idle: int = MAX_IDLE,
        max_profiles: int = MAX_PROFILES,
    ) -> None:
        self._ca_file = ca_file
        self._max_idle = max_idle
        self._max_profiles = max_profiles
        self._profiles: dict[Request, Profile] = {}
        self._idle_count = 0

    def find(self, request: Request) -> Profile:
        """The profile of a request."""
        # All that is not known to be harmless is part of it: a handle that carried
        # somebody's headers is never used for anybody else's.
        key = replace(request, url="", host="", port=0, address=None)
        profile = self._profiles.get(key)
        if profile is None:
            if len(self._profiles) >= self._max_profiles:
                self.retire_all()
            profile = self._profiles[key] = Profile(key)
        return profile

    def take(self, profile: Profile) -> pycurl.Curl:
        """A handle of this profile, for one transfer at a time."""
        if profile.idle:
            self._idle_count -= 1
            return profile.idle.pop()
        curl = pycurl.Curl()
        set_up(curl, profile.request, ca_file=self._ca_file)
        return curl

    def give_back(self, profile: Profile, curl: pycurl.Curl) -> None:
        """Keep a handle for the next transfer of this profile."""
        if profile.is_retired:
            curl.close()
            return
        profile.idle.append(curl)
        self._idle_count += 1
        if self._idle_count > self._max_idle:
            # Rare, and cheaper than to keep book of which was used when.
            self.retire_all()

    def retire_all(self) -> None:
        """Close all handles that are not in use, and begin anew."""
        for profile in self._profiles.values():
            profile.is_retired = True
            for curl in profile.idle:
                curl.close()
            profile.idle.clear()
        self._profiles.clear()
        self._idle_count = 0


def set_up(curl: pycurl.Curl, request: Request, *, ca_file: str) -> None:
    """Tell a fresh handle all that the requests of a profile have in common."""
    setopt = curl.setopt
    setopt(pycurl.NOSIGNAL, 1)
    setopt(pycurl.PROTOCOLS, _WEB)
    setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    # Neither the environment's proxies nor anything kept from other probes.
    setopt(pycurl.PROXY, "")
    setopt(pycurl.FRESH_CONNECT, 1)
    setopt(pycurl.FORBID_REUSE, 1)
    setopt(pycurl.SSL_SESSIONID_CACHE, 0)
    # Bodies are decoded by us, with a cap.
    setopt(pycurl.HTTP_CONTENT_DECODING, 0)
    if request.is_tls:
        setopt(pycurl.CAINFO, ca_file)
        setopt(pycurl.SSL_EC_CURVES, _CURVES)
        setopt(pycurl.VERBOSE, int(request.is_tapped))
    if request.connection is not NO_OPTIONS:
        _set_connection(curl, request.connection)
    if request.proxy is not None:
        _set_proxy(curl, request.proxy)
    _set_method(curl, request)
    lines = _header_lines(request.headers, has_body=request.body is not None)
    setopt(pycurl.HTTPHEADER, lines)


def aim(curl: pycurl.Curl, transfer: Transfer, *, remaining: float) -> None:
    """Tell a handle that is set up all about the next attempt of a transfer.

    `remaining` is the time, in seconds, until the deadline.
    """
    setopt = curl.setopt
    request = transfer.request
    setopt(pycurl.URL, request.url)
    if request.proxy is None:
        setopt(pycurl.CONNECT_TO, _connect_to(transfer.address, request.port))
    else:
        setopt(pycurl.PROXY, request.proxy.url_at(transfer.address))
    remaining_ms = max(1, int(remaining * 1000))
    setopt(pycurl.TIMEOUT_MS, remaining_ms)
    # Half of the time for each address but the last, which gets all that is left.
    is_last = not transfer.addresses
    setopt(pycurl.CONNECTTIMEOUT_MS, remaining_ms if is_last else remaining_ms // 2 + 1)
    setopt(pycurl.WRITEFUNCTION, transfer.on_body)
    setopt(pycurl.HEADERFUNCTION, transfer.header.take_in)
    setopt(pycurl.PREREQFUNCTION, transfer.on_connected)
    if request.is_tls:
        is_due = transfer.wants_certificate and transfer.certificate is None
        setopt(pycurl.OPT_CERTINFO, int(is_due))
        if transfer.tap is not None:
            setopt(pycurl.DEBUGFUNCTION, transfer.tap.take_in)


def _set_connection(curl: pycurl.Curl, options: ProbeOptions) -> None:
    curl.setopt(pycurl.HTTP_VERSION, _HTTP_VERSIONS[options.http_version])
    if options.tls_min is not DEFAULT_TLS_MIN:
        curl.setopt(pycurl.SSLVERSION, _TLS_VERSIONS[options.tls_min])
        if options.tls_min < DEFAULT_TLS_MIN:
            # Nothing that old can do with less.
            curl.setopt(pycurl.SSL_CIPHER_LIST, "DEFAULT@SECLEVEL=0")
    certificate = options.client_certificate
    if certificate is not None:
        curl.setopt(pycurl.SSLCERT, certificate.cert)
        curl.setopt(pycurl.SSLKEY, certificate.key or certificate.cert)
        if certificate.password is not None:
            curl.setopt(pycurl.KEYPASSWD, certificate.password)


def _set_proxy(curl: pycurl.Curl, proxy: Proxy) -> None:
    # What is meant for the website is not told to the proxy when it is asked for a way.
    curl.setopt(pycurl.HEADEROPT, pycurl.HEADER_SEPARATE)
    curl.setopt(pycurl.NOPROXY, "")
    if proxy.user is not None:
        curl.setopt(pycurl.PROXYUSERNAME, proxy.user)
    if proxy.password is not None:
        curl.setopt(pycurl.PROXYPASSWORD, proxy.password)


@lru_cache(maxsize=4096)
def _connect_to(address: str, port: int) -> list[str]:
    """For any host and port of a URL, this address and no other."""
    return [f"::[{address}]:{port}" if ":" in address else f"::{address}:{port}"]


def _set_method(curl: pycurl.Curl, request: Request) -> None:
    if request.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
        return
    if request.body is not None:
        curl.setopt(pycurl.POSTFIELDS, request.body)
    if request.method != ("GET" if request.body is None else "POST"):
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)


@lru_cache(maxsize=256)
def _header_lines(
    headers: tuple[tuple[str, str], ...], *, has_body: bool
) -> list[bytes]:
    # A semicolon is libcurl's sign for a header without a value.
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers]
    if has_body:
        names = {name.lower() for name, _ in headers}
        # Left to itself libcurl calls any data a form, and asks before it sends much.
        lines += [
            f"{name}:"
            for name in ("Content-Type", "Expect")
            if name.lower() not in names
        ]
    return [line.encode() for line in lines]
