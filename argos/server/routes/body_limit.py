"""No request is read for longer than its cap, whoever sends it and wherever to."""

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from argos.protocol import MAX_REPORT_BYTES

_WITHOUT_BODY = frozenset({"GET", "HEAD"})
"""Whatever these bring along, no route reads it."""
_TOO_LARGE = f"A request has {MAX_REPORT_BYTES} bytes at most; split it."


class BodyLimit:
    """Answers 413 before a body is in memory: routes ask only then who is calling."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        if _announced(scope) > MAX_REPORT_BYTES:
            refusal = JSONResponse({"detail": _TOO_LARGE}, 413)
            await refusal(scope, receive, send)
            return
        left = MAX_REPORT_BYTES

        async def receive_so_much() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._app(scope, receive_so_much, send)


def _announced(scope: Scope) -> int:
    """How long the body is, by its own account; 0 if it does not say."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
