"""The pages in a real browser: nothing executes, nothing overflows, nothing complains."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import insert, update

from argos.clock import utcnow
from argos.server.database import Database
from argos.server.main import get_application
from argos.server.models import (
    Agent,
    Event,
    Result,
    Task,
    Website,
)
from tests.server.browsing import FLEET, SESSION_TOKEN
from tests.server.demo_data import add_session, demo_sites, seed_demo
from tests.server.factories import make_config

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

MARK = "hit"
"""What a payload would set on `window`, were it executed."""

PAYLOADS = [
    "<script>window.hit=1</script>",
    "</script><script>window.hit=1</script>",
    '"><script>window.hit=1</script>',
    "'><script>window.hit=1</script>",
    "<ScRiPt>window.hit=1</sCrIpT>",
    "<script src=//evil.example/x.js></script>",
    "<img src=x onerror=window.hit=1>",
    '"><img src=x onerror=window.hit=1>',
    "' onerror='window.hit=1",
    '" onmouseover="window.hit=1',
    '" autofocus onfocus="window.hit=1',
    "<svg onload=window.hit=1>",
    "<svg><script>window.hit=1</script></svg>",
    "<svg><animate onbegin=window.hit=1 attributeName=x dur=1s>",
    "<svg><use href=data:image/svg+xml,<svg id=x onload=window.hit=1></svg>#x></svg>",
    "<math><mtext></mtext><script>window.hit=1</script></math>",
    "<body onload=window.hit=1>",
    "<iframe src=javascript:parent.hit=1></iframe>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<object data=javascript:window.hit=1></object>",
    "<embed src=javascript:window.hit=1>",
    "<a href=javascript:window.hit=1>x</a>",
    "javascript:window.hit=1",
    "data:text/html,<script>parent.hit=1</script>",
    "<form action=javascript:window.hit=1><button>x</button></form>",
    "<details open ontoggle=window.hit=1>",
    "<video><source onerror=window.hit=1></video>",
    "<input autofocus onfocus=window.hit=1>",
    "<style>@import '//evil.example/x.css';</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:window.hit=1'>",
    "<base href=//evil.example/>",
    "<template><script>window.hit=1</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=window.hit=1>'>",
    "<!--><script>window.hit=1</script-->",
    "{{ ''.__class__.__mro__ }}{{ 7*7 }}",
    "{% for x in () %}{% endfor %}${7*7}#{7*7}",
    "\u202e<script>window.hit=1</script>\u2066",
    "<img name=getElementById><form id=main><input name=querySelectorAll>",
    "&lt;script&gt;window.hit=1&lt;/script&gt;",
    "\x00\x1b[31m\r\n<script>window.hit=1</script>",
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


class SignallingServer(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_listening.set()


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Serves an application, without its loops; returns its address."""
    running: list[tuple[SignallingServer, threading.Thread]] = []

    def serve(app: FastAPI) -> str:
        server = SignallingServer(
            uvicorn.Config(
                app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"
            )
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        assert server.is_listening.wait(10)
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """SQLite is enough here: the pages are the same."""
    database = Database(migrated_sqlite_url)
    yield database
    database.close()


@pytest.fixture
def at() -> datetime:
    """Now: browsers have a clock of their own."""
    return utcnow()


@pytest.fixture
def seeded(database: Database, at: datetime) -> Database:
    """The fleet, with two hours of results; `admin` is logged in."""
    sites = [site for site in demo_sites() if site.host in FLEET]
    sites += [site for site in demo_sites() if len(site.host) > 60]
    with database.transaction() as session:
        seed_demo(session, now=at, sites=sites)
        add_session(session, token=SESSION_TOKEN, now=at)
    return database


@pytest.fixture
def address(
    seeded: Database, migrated_sqlite_url: str, tmp_path: Any, serve: Any
) -> Iterator[str]:
    """Where the server with the fleet is."""
    loaded = make_config(tmp_path, url=migrated_sqlite_url, general__base_url=None)
    app = get_application(loaded)
    yield serve(app)
    app.state.argos.database.close()


def open_context(browser: Browser, address: str, **options: Any) -> BrowserContext:
    """A logged-in browser profile."""
    context = browser.new_context(**options)
    context.add_cookies([
        {"name": "argos-session", "value": SESSION_TOKEN, "url": address}
    ])
    return context


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_no_page_overflows_or_makes_the_browser_complain(
    browser: Browser, address: str, width: int, scheme: Any
):
    context = open_context(
        browser,
        address,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
    )
    page = context.new_page()
    complaints = Complaints()
    complaints.watch(page)

    too_wide = {}
    for path in PAGES:
        page.goto(address + path)
        taken = page.evaluate("document.documentElement.scrollWidth")
        if taken > width:
            too_wide[path] = taken
    context.close()

    assert too_wide == {}
    assert complaints.found == []


@pytest.mark.timeout(120)
def test_every_page_works_without_scripts(browser: Browser, address: str):
    context = open_context(browser, address, java_script_enabled=False)
    page = context.new_page()

    for path in PAGES:
        page.goto(address + path)
        assert page.locator("h1").first.is_visible(), path
    page.goto(address)
    page.get_by_role("searchbox").first.fill("cloud")
    page.keyboard.press("Enter")
    expect(page.locator("table.websites tbody tr")).to_have_count(1)
    page.locator("table.websites a").first.click()
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("status")).to_contain_text("as soon as an agent is free")
    context.close()


@pytest.fixture
def poisoned(seeded: Database, at: datetime) -> Database:
    """The payloads, wherever websites, agents, the config or users can put text."""
    with seeded.transaction() as session:
        everything = " ".join(PAYLOADS)
        for number, payload in enumerate(PAYLOADS):
            session.execute(
                update(Task)
                .where(Task.id == number + 1)
                .values(expected=_storable(payload), check=_storable(payload))
            )
        session.execute(
            update(Task)
            .where(Task.id == 1)
            .values(url="javascript:window.hit=1//<script>")
        )
        session.execute(
            insert(Result),
            [
                {
                    "id": 500_000 + number,
                    "task_id": 1,
                    "agent_id": _storable(payload),
                    "submitted_at": at.replace(microsecond=number),
                    "status": "error",
                    "severity": "critical",
                    "context": {
                        "error_message": payload,
                        "error_type": payload,
                        "error_details": f"{payload}\n{payload}",
                        "retrieved": payload,
                        payload: [payload, {payload: payload}],
                    },
                }
                for number, payload in enumerate(PAYLOADS)
            ],
        )
        session.execute(
            update(Result)
            .where(Result.id < 500_000)
            .values(context={"error_message": everything}, agent_id=PAYLOADS[0])
        )
        session.execute(update(Event).values(facts={"reason": everything}))
        session.execute(update(Agent).values(version=PAYLOADS[0], address=PAYLOADS[7]))
        session.execute(
            insert(Agent),
            [
                {"name": _storable(payload), "created_at": at, "last_seen_at": at}
                for payload in PAYLOADS
            ],
        )
        session.execute(
            insert(Website),
            [
                {
                    "domain": f"https://{_storable(payload)}/",
                    "host": _storable(payload),
                    "name": _storable(payload),
                    "group_name": payload,
                    "tags": [payload],
                }
                for payload in PAYLOADS
            ],
        )
    return seeded


def _storable(payload: str) -> str:
    """PostgreSQL stores no NUL, so that none is ever shown."""
    return payload.replace("\0", "")


@pytest.mark.timeout(180)
def test_no_payload_is_executed(browser: Browser, address: str, poisoned: Database):
    context = open_context(browser, address)
    page = context.new_page()
    complaints = Complaints()
    complaints.watch(page)
    paths = [
        *PAGES,
        *(f"/result/{500_000 + number}" for number in range(len(PAYLOADS))),
        *(f"/task/{number}/results" for number in range(1, 8)),
        *_host_paths(),
    ]

    hits = []
    for path in paths:
        page.goto(address + path)
        for summary in page.locator("details summary").all():
            summary.click()
        page.mouse.move(300, 300)
        if page.evaluate("window.hit !== undefined"):
            hits.append(path)
    context.close()

    assert hits == []
    assert complaints.found == []


def _host_paths() -> list[str]:
    return [f"/domain/{quote(_storable(payload), safe='')}" for payload in PAYLOADS]


def test_no_link_leads_to_a_script(browser: Browser, address: str, poisoned: Database):
    context = open_context(browser, address)
    page = context.new_page()

    schemes = set()
    for path in ["/", "/task/1/results", "/result/500022", "/domains"]:
        page.goto(address + path)
        schemes |= set(
            page.evaluate(
                "[...document.querySelectorAll('a[href]')].map((a) => a.protocol)"
            )
        )
        assert page.locator("[href='None']").count() == 0
    context.close()

    assert schemes <= {"http:", "https:"}


def test_values_are_renewed_in_place(browser: Browser, address: str, seeded: Database):
    context = open_context(browser, address)
    context.add_cookies([
        {"name": "auto_refresh_seconds", "value": "5", "url": address}
    ])
    page = context.new_page()
    page.goto(address)
    table = page.locator("table.websites").element_handle()
    page.locator("table.websites a").first.focus()
    with seeded.transaction() as session:
        session.execute(update(Task).values(severity="warning"))

    total = page.locator(".lead p").inner_text().split("·")[1].split()[0]
    expect(page.locator(".tile.warning strong")).to_have_text(total, timeout=20_000)

    assert page.evaluate("(table) => table.isConnected", table)
    assert "have warnings" in page.title()
    context.close()


def test_nothing_is_renewed_while_a_form_is_in_use(
    browser: Browser, address: str, seeded: Database
):
    context = open_context(browser, address)
    context.add_cookies([
        {"name": "auto_refresh_seconds", "value": "5", "url": address}
    ])
    page = context.new_page()
    page.goto(address)
    page.keyboard.press("/")
    page.keyboard.type("clo")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.wait_for_timeout(6_000)

    assert asked == []
    assert page.locator(".search input").input_value() == "clo"
    context.close()


def test_a_session_that_ended_elsewhere_leads_to_the_login(
    browser: Browser, address: str, seeded: Database
):
    context = open_context(browser, address)
    context.add_cookies([
        {"name": "auto_refresh_seconds", "value": "5", "url": address}
    ])
    page = context.new_page()
    page.goto(address)
    with seeded.transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM sessions")

    page.wait_for_url("**/login?msg=not-authenticated", timeout=20_000)

    context.close()


def test_another_site_cannot_frame_a_page(browser: Browser, address: str):
    context = open_context(browser, address)
    page = context.new_page()
    page.goto("about:blank")
    page.set_content(f'<iframe src="{address}/login"></iframe>')
    page.wait_for_timeout(1_000)

    frame = page.frames[1]
    assert "Log in" not in frame.content()
    context.close()
