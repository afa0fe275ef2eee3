"""What libcurl tells of a transfer that has ended, made into its outcome."""

import os
from dataclasses import replace

import pycurl

from argos.agent.engine.certificate import (
    describe_fault,
    fault_code,
    read_chain,
    read_tapped,
)
from argos.agent.engine.ending import Ending
from argos.agent.engine.failure import PROXY_CODES, CurlCode, one_line
from argos.agent.engine.proxy import describe_refusal, describe_silence
from argos.agent.engine.transfer import Transfer
from argos.clock import Clock
from argos.core.headers import HeaderFields
from argos.core.probe import (
    Certificate,
    FailureKind,
    Outcome,
    ProbeFailure,
    Timings,
)

_HTTP_VERSIONS = {
    pycurl.CURL_HTTP_VERSION_1_0: "1.0",
    pycurl.CURL_HTTP_VERSION_1_1: "1.1",
    pycurl.CURL_HTTP_VERSION_2: "2",
    pycurl.CURL_HTTP_VERSION_3: "3",
}
_GRANTED = 2
"""The first digit of what a proxy answers that lets us through."""
_LOGIN_WANTED = 407


class Finish(Ending):
    """What libcurl said at the end of an attempt, and its handle to ask for more."""

    __slots__ = ("_clock", "_curl")

    def __init__(  # what libcurl says, and what it takes to judge that
        self,
        transfer: Transfer,
        curl: pycurl.Curl,
        code: int,
        text: str,
        *,
        clock: Clock,
        timing_error_us: int = 0,
    ) -> None:
        super().__init__(transfer, code, text, timing_error_us=timing_error_us)
        self._curl = curl
        self._clock = clock

    @property
    def attempt_us(self) -> int:
        took: int = self._curl.getinfo(pycurl.TOTAL_TIME_T)
        return took

    @property
    def _lines(self) -> bytes:
        transfer = self.transfer
        if transfer.request.proxy is not None and not transfer.is_established:
            # A proxy's word is no answer of the website.
            return b""
        return transfer.header.lines

    @property
    def _status(self) -> int:
        status: int = self._curl.getinfo(pycurl.RESPONSE_CODE)
        return status

    @property
    def _http_version(self) -> str | None:
        return _HTTP_VERSIONS.get(self._curl.getinfo(pycurl.INFO_HTTP_VERSION))

    @property
    def _os_error(self) -> int:
        error: int = self._curl.getinfo(pycurl.OS_ERRNO)
        return error

    @property
    def _is_connected(self) -> bool:
        return bool(self._curl.getinfo(pycurl.CONNECT_TIME_T) > 0)

    def _error(self, lines: bytes) -> ProbeFailure:
        if self.code == CurlCode.PEER_FAILED_VERIFICATION:
            return self._certificate_failure()
        own = self._own_trouble()
        return super()._error(lines) if own is None else self._failure(*own)

    def _certificate_failure(self) -> ProbeFailure:
        certificate = self._certificate()
        # 1 stands for nothing in particular; libcurl looks at the name by itself.
        code = self._curl.getinfo(pycurl.SSL_VERIFYRESULT)
        code = 0 if code == 1 else code
        now = self._clock.utcnow()
        fault = describe_fault(
            code, certificate, host=self.transfer.request.host, now=now
        )
        if certificate is not None:
            certificate = replace(
                certificate,
                fault=fault,
                fault_code=fault_code(code, certificate, now),
            )
        return ProbeFailure(
            FailureKind.CERTIFICATE,
            f"The certificate is not accepted: {fault}.",
            timings=self._timings(),
            certificate=certificate,
            remote_address=self.transfer.address,
        )

    def _own_trouble(self) -> tuple[FailureKind, str] | None:
        """What the options of the probe are to blame for, if they are."""
        request = self.transfer.request
        is_file_bad = self.code in {
            CurlCode.BAD_FUNCTION_ARGUMENT,
            CurlCode.SSL_CERTPROBLEM,
        }
        if is_file_bad and request.connection.client_certificate is not None:
            return FailureKind.INTERNAL, (
                "The client certificate cannot be used:"
                f" {one_line(self.text) or 'no reason given'}."
            )
        if request.proxy is None or self.transfer.is_established:
            return None
        info = self._curl.getinfo
        is_reached = info(pycurl.CONNECT_TIME_T) > 0
        status = info(pycurl.HTTP_CONNECTCODE)
        if is_reached and self.code not in PROXY_CODES:
            is_open = request.proxy.scheme != "http" or status // 100 == _GRANTED
            if is_open or self.code != CurlCode.OPERATION_TIMEDOUT:
                return None
            timeout = self.transfer.probe.timeout.total_seconds()
            return describe_silence(request.proxy.place, timeout)
        os_error = 0 if is_reached else info(pycurl.OS_ERRNO)
        return describe_refusal(
            request.proxy.place,
            is_reached=is_reached,
            status=status,
            socks_code=info(pycurl.PROXY_ERROR),
            reason=os.strerror(os_error) if os_error else one_line(self.text),
        )

    def _response(self, headers: HeaderFields) -> Outcome:
        request = self.transfer.request
        status = self._status
        if status != _LOGIN_WANTED or request.proxy is None or request.is_tls:
            return super()._response(headers)
        # Nobody but the proxy asks so.
        reason = "it wants a login"
        place = request.proxy.place
        return self._failure(
            *describe_refusal(
                place, is_reached=True, status=status, socks_code=0, reason=reason
            )
        )

    def _certificate(self) -> Certificate | None:
        transfer = self.transfer
        if not transfer.wants_certificate:
            return None
        if transfer.certificate is not None:
            # Accepted once more; without a handshake there is none to speak of.
            return transfer.certificate if transfer.is_established else None
        # As bytes: a hostile certificate's texts need not be UTF-8.
        chain = self._curl.getinfo_raw(pycurl.INFO_CERTINFO)
        if chain:
            return read_chain(chain)
        return read_tapped(transfer.tap.certificates) if transfer.tap else None

    def _timings(self) -> Timings:
        """libcurl's clocks, where they mean something.

        It fills those of phases that were never reached when a transfer fails, so each
        is taken only if something else shows that the phase was there.
        """
        info = self._curl.getinfo
        transfer = self.transfer
        total = info(pycurl.TOTAL_TIME_T)
        connected = info(pycurl.CONNECT_TIME_T)
        secured = info(pycurl.APPCONNECT_TIME_T)
        sent = info(pycurl.POSTTRANSFER_TIME_T) or info(pycurl.PRETRANSFER_TIME_T)
        begun = info(pycurl.STARTTRANSFER_TIME_T) if transfer.header.has_begun else 0
        before = connected - info(pycurl.NAMELOOKUP_TIME_T) + transfer.earlier_us
        return Timings(
            transfer.dns_us,
            before if connected else None,
            secured - connected if secured and connected else None,
            # An answer may begin before the whole request is out.
            max(0, begun - sent) if begun else None,
            total - begun if begun else None,
            transfer.former_us + (transfer.dns_us or 0) + transfer.earlier_us + total,
            self.timing_error_us,
        )
