"""What guards the web: headers on every answer, cookies, and tokens against forgery."""

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from argos.errors import ForgedRequest
from argos.schemas import Config
from argos.server.routes.dependencies import AppState

CONTENT_SECURITY_POLICY = "; ".join([
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
])
_PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "camera", "display-capture", "geolocation", "gyroscope",
        "magnetometer", "microphone", "midi", "payment", "usb",
    )
)  # fmt: skip
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": _PERMISSIONS,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HSTS = "max-age=31536000"

_FORM_TOKEN_BYTES = 16
_OWN_SITES = frozenset({"same-origin", "none"})
"""`none`: typed or bookmarked by the user."""


def has_https_base(config: Config) -> bool:
    """Whether users reach this server by https, whatever a proxy speaks to us."""
    return (config.general.base_url or "").startswith("https:")


def security_headers(config: Config) -> dict[str, str]:
    """The headers of every answer; a route may set its own `Cache-Control`."""
    if has_https_base(config):
        return {**_HEADERS, "Strict-Transport-Security": _HSTS}
    return dict(_HEADERS)


class SecurityHeaders:
    """Adds the headers that an answer does not have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: AppState = scope["app"].state.argos

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in security_headers(state.config).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def is_secure(request: Request, config: Config) -> bool:
    """Whether the browser may be told to send a cookie over https only."""
    return request.url.scheme == "https" or has_https_base(config)


def session_cookie_name(request: Request, config: Config) -> str:
    """The session's cookie; its prefix makes browsers insist on https and this host."""
    return "__Host-argos" if is_secure(request, config) else "argos-session"


def form_cookie_name(request: Request, config: Config) -> str:
    """The cookie that ties a form to a browser that has no session."""
    return "__Host-argos-form" if is_secure(request, config) else "argos-form"


def set_cookie(
    request: Request,
    response: Response,
    config: Config,
    *,
    name: str,
    value: str,
    max_age_s: int | None,
) -> None:
    """Set a cookie that scripts cannot read and other sites cannot make use of."""
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path="/",
        secure=is_secure(request, config),
        httponly=True,
        samesite="lax",
    )


def delete_cookie(
    request: Request, response: Response, config: Config, *, name: str
) -> None:
    """Delete a cookie, with the attributes without which browsers would keep it."""
    response.delete_cookie(
        name,
        path="/",
        secure=is_secure(request, config),
        httponly=True,
        samesite="lax",
    )


def new_form_binding() -> str:
    """A random value for the form cookie."""
    return secrets.token_urlsafe(_FORM_TOKEN_BYTES)


def form_token(config: Config, binding: str) -> str:
    """The token that a form must bring: tied to a session, or to a form cookie."""
    secret = config.general.cookie_secret.get_secret_value().encode()
    return hmac.new(secret, b"form:" + binding.encode(), hashlib.sha256).hexdigest()


def check_form_token(config: Config, *, binding: str | None, token: str) -> None:
    """Raise ForgedRequest unless the token fits."""
    expected = form_token(config, binding or "")
    fits = hmac.compare_digest(expected.encode(), token.encode("utf-8", "replace"))
    if not binding or not fits:
        raise ForgedRequest


def check_origin(request: Request, config: Config) -> None:
    """Raise ForgedRequest when a browser says that another site sent the request.

    Programs say nothing of it, and have no cookies that another site could abuse.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in _OWN_SITES:
            raise ForgedRequest
        return
    origin = request.headers.get("origin")
    if origin is not None and _host(origin) not in _own_hosts(request, config):
        raise ForgedRequest


def _own_hosts(request: Request, config: Config) -> set[str]:
    hosts = {request.headers.get("host", ""), _host(config.general.base_url or "")}
    return hosts - {""}


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
