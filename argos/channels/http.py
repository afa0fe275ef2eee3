"""One way to post a notice over HTTP: bounded, without redirects, secrets kept quiet."""

import contextlib
import json
import math
import socket
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from argos import VERSION
from argos.channels.base import ATTEMPT_TIMEOUT_S
from argos.clock import Clock, system_clock
from argos.core.text import cut, visible
from argos.errors import DeliveryError

if TYPE_CHECKING:
    import httpx2

MAX_RETRY_AFTER_S = 6 * 3600.0
_MAX_ANSWER_BYTES = 64 * 1024
_REST_TIMEOUT_S = 1.0
_SHOWN_LENGTH = 200
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
_OF_CONTENT = frozenset({400, 413, 422})
"""Too large, or not understood."""
_METADATA = tuple(
    ip_network(text)
    for text in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200")
)
"""Where clouds hand out credentials; no notice has business there."""

LookUp = Callable[..., Iterable[tuple[Any, ...]]]
"""Looks a name up, as `socket.getaddrinfo` does."""


class HttpSender:
    """Posts documents; raises DeliveryError unless the answer is a success."""

    def __init__(
        self,
        *,
        clock: Clock = system_clock,
        attempt_timeout_s: float = ATTEMPT_TIMEOUT_S,
    ) -> None:
        # Loaded when the first notice needs it: most servers idle without it.
        import httpx2

        self._clock = clock
        self._attempt_timeout_s = attempt_timeout_s
        self._client = httpx2.Client(
            follow_redirects=False,
            timeout=attempt_timeout_s / 2,
            headers={"User-Agent": f"Argos/{VERSION}"},
        )

    def post_json(
        self, url: str, document: Any, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Post a document as JSON."""
        self.post(url, encode_json(document), headers=headers)

    def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Post JSON text, or what the header `Content-Type` says.

        What an error says names the host, and no more of the URL.
        """
        headers = headers or {}
        if all(name.lower() != "content-type" for name in headers):
            headers = {"Content-Type": "application/json", **headers}
        self._call("POST", url, body, headers=headers)

    def get(self, url: str) -> None:
        """Ask for a page, of which only the status counts."""
        self._call("GET", url, None, headers={})

    def _call(
        self, method: str, url: str, body: bytes | None, *, headers: Mapping[str, str]
    ) -> None:
        import httpx2

        host = httpx2.URL(url).netloc.decode(errors="replace").rpartition("@")[2]
        deadline = self._clock.monotonic() + self._attempt_timeout_s
        refuse_metadata(httpx2.URL(url).host, host)
        try:
            with self._client.stream(
                method, url, content=body, headers=headers
            ) as answer:
                if answer.is_success:
                    self._let_end(answer)
                    return
                text = self._read(answer, deadline)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as err:
            reason = str(err) or type(err).__name__
            raise DeliveryError(
                f"{host} cannot be reached: {reason}",
                is_unsent=isinstance(
                    err, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.InvalidURL
                ),
            ) from err
        raise self._refusal(answer, host, text)

    def _let_end(self, answer: "httpx2.Response") -> None:
        """Read the rest of what was taken, for the connection's sake only.

        The status has confirmed it: whatever comes after, another attempt would be a
        repeat.
        """
        import httpx2

        with contextlib.suppress(httpx2.HTTPError, TimeoutError):
            self._read(answer, self._clock.monotonic() + _REST_TIMEOUT_S)

    def _read(self, answer: "httpx2.Response", deadline: float) -> bytes:
        body = bytearray()
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) > _MAX_ANSWER_BYTES:
                break
            if self._clock.monotonic() > deadline:
                raise TimeoutError("its answer took too long")
        return bytes(body[:_MAX_ANSWER_BYTES])

    def _refusal(
        self, answer: "httpx2.Response", host: str, body: bytes
    ) -> DeliveryError:
        text = cut(
            visible(" ".join(body.decode(errors="replace").split())), _SHOWN_LENGTH
        )
        code = answer.status_code
        if answer.is_redirect:
            text = "redirects are not followed; configure the address it leads to"
        return DeliveryError(
            f"{host} answered {code}: {text}",
            permanent=300 <= code < 500 and code not in _WORTH_ANOTHER_TRY,
            is_unsent=True,
            retry_after_s=self._retry_after(answer.headers.get("Retry-After")),
            is_of_content=code in _OF_CONTENT,
        )

    def _retry_after(self, text: str | None) -> float | None:
        """Seconds, or the time until a moment; None for what is neither."""
        if text is None:
            return None
        try:
            if text.strip().isdecimal():
                wait = float(text)
            else:
                moment = parsedate_to_datetime(text)
                wait = (moment - self._clock.utcnow()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
        return min(max(wait, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(wait) else None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def encode_json(document: Any) -> bytes:
    """The document as JSON text, the same bytes each time."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
        errors="replace"
    )


def refuse_metadata(
    name: str, host: str, *, look_up: LookUp = socket.getaddrinfo
) -> None:
    """Raise DeliveryError when a name leads to a metadata address.

    Any other address is the admin's choice, for they named the URL; and so is a
    metadata address that stands in the URL itself.
    """
    try:
        ip_address(name)
    except ValueError:
        pass
    else:
        return
    try:
        found = look_up(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "no usable name"
        raise DeliveryError(
            f"{host} cannot be reached: {reason}", is_unsent=True
        ) from err
    for *_, (address, *_) in found:
        text = str(address).partition("%")[0]
        meant = ip_address(text)
        meant = getattr(meant, "ipv4_mapped", None) or meant
        if any(meant in network for network in _METADATA):
            raise DeliveryError(
                f"{host} leads to {text}, a metadata or link-local address: nothing "
                "is sent there",
                permanent=True,
            )
