"""One way to post a notice over HTTP: bounded, without redirects, secrets kept quiet."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from argos import VERSION
from argos.channels.base import ATTEMPT_TIMEOUT_S
from argos.clock import Clock, system_clock
from argos.core.text import cut, visible
from argos.errors import DeliveryError

if TYPE_CHECKING:
    import httpx2

_MAX_ANSWER_BYTES = 64 * 1024
_SHOWN_LENGTH = 200
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})


class HttpSender:
    """Posts JSON; raises DeliveryError unless the answer is a success."""

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
        """Post a document; what an error says names the host, and no more of the URL."""
        import httpx2

        host = httpx2.URL(url).netloc.decode(errors="replace").rpartition("@")[2]
        deadline = self._clock.monotonic() + self._attempt_timeout_s
        try:
            with self._client.stream(
                "POST", url, json=document, headers=dict(headers or {})
            ) as answer:
                body = self._read(answer, deadline)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as err:
            reason = str(err) or type(err).__name__
            raise DeliveryError(f"{host} cannot be reached: {reason}") from err
        if not answer.is_success:
            text = cut(
                visible(" ".join(body.decode(errors="replace").split())), _SHOWN_LENGTH
            )
            code = answer.status_code
            raise DeliveryError(
                f"{host} answered {code}: {text}",
                permanent=300 <= code < 500 and code not in _WORTH_ANOTHER_TRY,
            )

    def _read(self, answer: "httpx2.Response", deadline: float) -> bytes:
        body = bytearray()
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) > _MAX_ANSWER_BYTES:
                break
            if self._clock.monotonic() > deadline:
                raise TimeoutError("its answer took too long")
        return bytes(body[:_MAX_ANSWER_BYTES])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
