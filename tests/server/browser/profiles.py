"""Profiles of a browser, and what its pages say."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from tests.server.browsing import SESSION_TOKEN

PAGES = [
    "/",
    "/domains",
    "/domains?s=not-ok&q=example",
    "/domain/cloud.example.org",
    "/domain/shop.example.org",
    "/task/1/results",
    "/result/1",
    "/result/12",
    "/agents",
    "/incidents",
    "/incident/1",
    "/account",
    "/docs",
    "/logout",
    "/nowhere",
]


@dataclass
class Complaints:
    """What the browser said that it should not have."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)

    def _console(self, message: Any) -> None:
        # A page that answers 404 on purpose is not a fault of the page.
        if message.type in {"error", "warning"} and "404" not in message.text:
            self.found.append(f"{message.type}: {message.text}")

    def _dialog(self, dialog: Any) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith("http://127.0.0.1:"):
            self.found.append(f"request: {request.url}")


def open_context(browser: Browser, address: str, **options: Any) -> BrowserContext:
    """A logged-in browser profile."""
    context = browser.new_context(**options)
    context.add_cookies([
        {"name": "argos-session", "value": SESSION_TOKEN, "url": address}
    ])
    return context
