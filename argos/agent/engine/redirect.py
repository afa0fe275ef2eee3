"""Where a redirect leads, and whether we go there."""

from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urljoin, urlsplit

from argos.agent.engine.failure import one_line
from argos.agent.engine.request import Request, prepare_request
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from argos.core.text import cut, visible

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BECOME_GET = {
    301: frozenset({"POST"}),
    302: frozenset({"POST"}),
    303: frozenset({"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}),
}
_MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Hop:
    """The request to which a redirect leads."""

    probe: Probe
    request: Request


def next_hop(  # what was asked, what came, and who asks
    probe: Probe,
    request: Request,
    response: ProbeResponse,
    visited: tuple[str, ...],
    *,
    user_agent: str,
    proxy: str | None,
) -> Hop | ProbeFailure | None:
    """Where to go on; None: nowhere, the response is the answer.

    `visited` are the URLs so far, the request's own the last of them.
    The address is judged by whoever goes there, as that of any other probe.
    """
    location = _find_location(probe, response)
    if location is None:
        return None
    prepare = partial(prepare_request, user_agent=user_agent, proxy=proxy)
    try:
        following = _lead(probe, urljoin(request.url, location), response.status_code)
        ahead = prepare(following)
        if _origin(ahead) != _origin(request):
            following = _without_secrets(following)
            ahead = prepare(following)
        _check(ahead, request, visited, probe.options.follow)
    except ValueError as err:
        shown = cut(visible(location), _MAX_SHOWN)
        message = f"The redirect to {shown} is not followed: {one_line(str(err))}."
        return ProbeFailure(FailureKind.REDIRECT, message)
    return Hop(following, ahead)


def _find_location(probe: Probe, response: ProbeResponse) -> str | None:
    """Where the website sends us, if we go where it sends us."""
    if not probe.options.follow or response.status_code not in _REDIRECTS:
        return None
    return next((v for name, v in response.headers if name == "location"), None)


def _check(
    ahead: Request, request: Request, visited: tuple[str, ...], limit: int
) -> None:
    if len(visited) > limit:
        raise ValueError(f"it is one more than {limit}.")
    if request.is_tls and not ahead.is_tls:
        raise ValueError("it leads away from https.")
    if ahead.url in visited and ahead.method == request.method:
        raise ValueError("it leads in a circle.")


def _lead(probe: Probe, url: str, status: int) -> Probe:
    """The probe of the next URL. Raises ValueError, saying why there can be none."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("it names a user.")
    following = replace(
        probe,
        url=url,
        wants_certificate=parts.scheme.lower() == "https",
        options=replace(probe.options, all_addresses=False),
    )
    if probe.method not in _BECOME_GET.get(status, ()):
        return following
    return replace(following, method="GET", body=None, headers=_without_content(probe))


def _without_secrets(probe: Probe) -> Probe:
    """Nothing that was meant for one website is told to another."""
    if probe.body is not None:
        raise ValueError("it would give the data of the request to another website.")
    options = replace(probe.options, authorization=None, client_certificate=None)
    return replace(probe, headers={}, options=options)


def _origin(request: Request) -> tuple[str, str, int]:
    return request.scheme, request.host, request.port


def _without_content(probe: Probe) -> dict[str, str]:
    return {
        name: value
        for name, value in probe.headers.items()
        if not name.lower().startswith("content-")
    }
