"""The websites of the believable fleet, and what is wrong with some of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from argos.core.probe import IPVersion
from argos.core.severity import Severity

PERIOD = timedelta(minutes=5)
DAY = timedelta(hours=24)

NAMES = [
    "cloud", "shop", "mail", "events", "files", "video", "forum", "wiki", "blog",
    "chat", "git", "lists", "maps", "meet", "news", "notes", "pad", "photos", "poll",
    "search", "social", "status", "support", "tickets", "translate", "vote", "www",
    "api", "auth", "cdn", "docs", "donate", "jobs",
]  # fmt: skip


Checks = tuple[tuple[str, str], ...]
"""Names with what is expected."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with some checks of a website, and when."""

    begin: timedelta
    """Before now."""
    end: timedelta
    """Before now; zero: it lasts."""
    severity: Severity
    context: dict[str, Any]
    checks: frozenset[str] = frozenset()
    """Empty: all of them."""
    ip_versions: tuple[IPVersion, ...] = (IPVersion.V4, IPVersion.V6)
    is_told: bool = True

    def concerns(self, check: str, ip_version: str, age: timedelta) -> bool:
        return (
            self.end <= age <= self.begin
            and (not self.checks or check in self.checks)
            and ip_version in self.ip_versions
        )


@dataclass(frozen=True, slots=True)
class Site:
    """A website of the fleet."""

    host: str
    paths: dict[str, Checks]
    name: str | None = None
    ip_versions: tuple[IPVersion, ...] = (IPVersion.V4, IPVersion.V6)
    troubles: tuple[Trouble, ...] = ()
    gap: tuple[timedelta, timedelta] | None = None
    """When it was not measured, before now."""
    certificate_days: int = 61
    has_run: bool = True
    scale: float = 1.0


REFUSED = {
    "error_message": "Connection refused on port 443.",
    "error_type": "connect",
    "error_details": "address 203.0.113.7, after 3 ms",
}
TIMEOUT = {
    "error_message": "No complete answer within 30 s.",
    "error_type": "timeout",
    "error_details": "address 203.0.113.40, after 30000 ms",
}
MISSING_TEXT = {"reason": "The body does not contain the expected text."}
BAD_STATUS = {
    "expected": 200,
    "retrieved": 503,
    "reason": "The status is 503, not 200.",
}
NO_JSON = {
    "error_message": "The body is not JSON: unexpected character at line 1, column 1.",
    "error_type": "JSONDecodeError",
    "error_details": "",
}

FRONT = (
    ("status-is", "200"),
    ("body-contains", "Welcome"),
    ("ssl-certificate-expiration", "on-check"),
)
HEALTH = (("status-is", "200"), ("json-has", '{"/status": "up"}'))
REDIRECT = (("http-to-https", '{"range": [300, 400]}'),)


def ago(*, hours: float = 0, minutes: float = 0, days: float = 0) -> timedelta:
    """A moment as its distance from now."""
    return timedelta(days=days, hours=hours, minutes=minutes)


def demo_sites() -> list[Site]:
    """Forty websites: most are fine, some are not."""
    sites = [_ordinary(name, index) for index, name in enumerate(NAMES)]
    changed = {site.host: site for site in _troubled()}
    return [changed.pop(site.host, site) for site in sites] + list(changed.values())


def _ordinary(name: str, index: int) -> Site:
    paths: dict[str, Checks] = {"/": FRONT}
    if index % 2:
        paths["/health"] = HEALTH
    if index % 3 == 0:
        paths["/login"] = (("status-in", "[200, 302]"),)
    return Site(
        f"{name}.example.org",
        paths,
        ip_versions=(IPVersion.V4,) if index % 5 == 4 else (IPVersion.V4, IPVersion.V6),
        certificate_days=20 + (index * 17) % 70,
        scale=0.6 + (index * 7 % 10) / 6,
    )


def _troubled() -> Iterator[Site]:
    forever = timedelta(0)
    yield Site(
        "cloud.example.org",
        {"/": FRONT, "/health": HEALTH, "/login": (("status-in", "[200, 302]"),)},
        name="Cloud storage",
        troubles=(Trouble(ago(minutes=14), forever, Severity.CRITICAL, REFUSED),),
    )
    yield Site(
        "shop.example.org",
        {"/": FRONT, "/cart": (("body-contains", "Your cart"),)},
        troubles=(
            Trouble(
                ago(hours=3), forever, Severity.CRITICAL, MISSING_TEXT,
                frozenset({"body-contains"}), (IPVersion.V6,),
            ),
            Trouble(ago(hours=9), ago(hours=8), Severity.CRITICAL, TIMEOUT),
        ),
        scale=2.4,
    )  # fmt: skip
    for letter in "abcdef":
        yield Site(
            f"{letter}.example.net",
            {"/": FRONT},
            certificate_days=4,
            troubles=(
                Trouble(
                    ago(hours=2), forever, Severity.WARNING, {"expires_in": 4},
                    frozenset({"ssl-certificate-expiration"}),
                ),
            ),
        )  # fmt: skip
    yield Site(
        "api.example.org",
        {"/": FRONT, "/v1/status": HEALTH, "/v2/status": HEALTH},
        troubles=(
            Trouble(
                ago(minutes=50), forever, Severity.UNKNOWN, NO_JSON,
                frozenset({"json-has"}),
            ),
        ),
    )  # fmt: skip
    yield Site(
        "events.example.org",
        {"/": FRONT + REDIRECT},
        gap=(ago(hours=14), ago(hours=12.5)),
    )
    yield Site(
        "video.example.org",
        {"/": FRONT},
        scale=3.1,
        troubles=(
            Trouble(ago(hours=19), ago(hours=18.4), Severity.CRITICAL, BAD_STATUS),
        ),
    )
    yield Site("xn--bcher-kva.example", {"/": FRONT}, name="Bücher")
    yield Site(
        "a-very-long-subdomain-that-somebody-once-thought-funny.departments.example.com",
        {
            "/a/rather/long/path/that/must/not/break/the/page/on/a/small/screen"
            "?with=a&query=string": (("status-is", "200"),)
        },
    )
    yield Site(
        "intranet.example.com:8443", {"/": FRONT[:2]}, ip_versions=(IPVersion.V4,)
    )
    yield Site("new.example.com", {"/": FRONT}, has_run=False)
