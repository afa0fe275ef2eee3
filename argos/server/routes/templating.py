"""Rendering pages: the template environment, links, and what every page knows."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from argos import VERSION
from argos.core.severity import Severity
from argos.schemas.config import UnauthenticatedAccess
from argos.server.queries.sessions import Login
from argos.server.routes import security, wording
from argos.server.routes.dependencies import get_app_state

STATIC_FILES: Mapping[str, str] = {
    "style.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "times.js": "text/javascript; charset=utf-8",
    "logo.svg": "image/svg+xml",
}
"""What `/static/` serves, and as what; nothing else is ever read."""

MIN_REFRESH_S = 5
DEFAULT_REFRESH_S = 15
MAX_REFRESH_S = 3600


@dataclass(frozen=True, slots=True)
class Refresh:
    """How often a page renews itself, by the cookies of 0.10.3."""

    is_enabled: bool
    seconds: int
    is_chosen: bool
    """Without scripts pages renew themselves only on demand."""


@cache
def static_file(name: str) -> bytes:
    """The content of a static file."""
    return (files("argos.server") / "static" / name).read_bytes()


@cache
def static_version(name: str) -> str:
    return hashlib.sha256(static_file(name)).hexdigest()[:12]


class Links:
    """Paths of pages, below the configured root path; never with a host.

    The request's `Host` header is the visitor's word, so that no link is made of it.
    """

    def __init__(self, request: Request) -> None:
        state = get_app_state(request)
        self._app = request.app
        self._patterns = state.path_patterns
        self._root = state.config.general.root_path

    def __call__(self, page: str, /, **parameters: object) -> str:
        """The path of a route, by its name."""
        quoted = {key: quote(str(value), safe="") for key, value in parameters.items()}
        pattern = self._patterns.get(page) or self._find_pattern(page, quoted)
        return f"{self._root}{pattern.format_map(quoted)}"

    def _find_pattern(self, page: str, names: Iterable[str]) -> str:
        """The path of a route with its parameters in braces, which is found once.

        The framework looks through all routes for each link: half of what a page took.
        """
        found = self._app.url_path_for(page, **{name: f"{{{name}}}" for name in names})
        return self._patterns.setdefault(page, str(found))

    def static(self, name: str) -> str:
        """The path of a static file, with its version, so that it can be kept."""
        return f"{self('static_file', name=name)}?v={static_version(name)}"

    def query(self, page: str, values: Mapping[str, object]) -> str:
        """The path of a page with a query; empty values are left out."""
        chosen = {key: str(value) for key, value in values.items() if value}
        path = self(page)
        return f"{path}?{urlencode(chosen)}" if chosen else path


def refresh_of(request: Request) -> Refresh:
    """What the visitor's cookies say of renewing pages."""
    enabled = request.cookies.get("auto_refresh_enabled")
    try:
        seconds = int(request.cookies.get("auto_refresh_seconds", ""))
    except ValueError:
        seconds = DEFAULT_REFRESH_S
    return Refresh(
        is_enabled=enabled != "False",
        seconds=min(max(seconds, MIN_REFRESH_S), MAX_REFRESH_S),
        is_chosen=enabled == "True",
    )


def render(
    request: Request,
    template: str,
    *,
    login: Login | None,
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """Render a page for a visitor."""
    state = get_app_state(request)
    config = state.config
    now = state.clock.utcnow()
    binding, is_new = _form_binding(request, login)
    page = _environment().get_template(template)
    text = page.render(
        link=Links(request),
        login=login,
        needs_login=config.general.unauthenticated_access
        is not UnauthenticatedAccess.ALL,
        is_restricted=login is None
        and config.general.unauthenticated_access is UnauthenticatedAccess.DASHBOARD,
        csrf=security.form_token(config, binding),
        now=now,
        ago=_at(wording.relative, now),
        refresh=refresh_of(request),
        route=getattr(request.scope.get("route"), "name", ""),
        **context,
    )
    response = HTMLResponse(text, status)
    if is_new:
        security.set_cookie(
            request,
            response,
            config,
            name=security.form_cookie_name(request, config),
            value=binding,
            max_age_s=None,
        )
    return response


def _form_binding(request: Request, login: Login | None) -> tuple[str, bool]:
    if login is not None:
        return login.digest.hex(), False
    config = get_app_state(request).config
    present = request.cookies.get(security.form_cookie_name(request, config))
    if present:
        return present, False
    return security.new_form_binding(), True


def _at(
    words: Callable[[datetime, datetime], str], now: datetime
) -> Callable[[datetime], str]:
    return lambda moment: words(moment, now)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("argos.server", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=wording.plain,
    )
    environment.globals.update(
        version=VERSION,
        severities=list(Severity),
        words=wording.SEVERITY_WORDS,
        count=wording.count,
    )
    environment.filters.update(
        duration=wording.duration,
        exact=wording.exact,
        machine_time=wording.machine_time,
        ms=wording.milliseconds,
        minutes=wording.minutes,
        facts=wording.facts,
        left_out=wording.left_out,
        href=wording.safe_href,
        public=wording.without_secrets,
        path_of=wording.path_of,
        sentence=wording.join,
        percent=wording.percent,
        unmeasured=wording.unmeasured,
    )
    return environment
