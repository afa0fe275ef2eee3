"""Pages that renew themselves in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update

from argos.server.database import Database
from argos.server.models import Task
from tests.server.browser.profiles import open_context


@pytest.fixture
def page(browser: Browser, address: str, seeded: Database) -> Iterator[Page]:
    """The front page, which renews itself every five seconds."""
    context = open_context(browser, address)
    context.add_cookies([
        {"name": "auto_refresh_seconds", "value": "5", "url": address}
    ])
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def test_values_are_renewed_in_place(page: Page, seeded: Database):
    table = page.locator("table.websites").element_handle()
    page.locator("table.websites a").first.focus()
    with seeded.transaction() as session:
        session.execute(update(Task).values(severity="warning"))

    total = page.locator(".lead p").inner_text().split("·")[1].split()[0]
    expect(page.locator(".tile.warning strong")).to_have_text(total, timeout=20_000)

    assert page.evaluate("(table) => table.isConnected", table)
    assert "have warnings" in page.title()


def test_nothing_is_renewed_while_a_form_is_in_use(page: Page):
    page.keyboard.press("/")
    page.keyboard.type("clo")
    renewals: list[str] = []
    page.on(
        "request",
        lambda request: (
            renewals.append(request.url) if request.resource_type == "fetch" else None
        ),
    )

    page.wait_for_timeout(6_000)

    assert renewals == []
    assert page.locator(".search input").input_value() == "clo"


def test_a_session_that_ended_elsewhere_leads_to_the_login(
    page: Page, seeded: Database
):
    with seeded.transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM sessions")

    page.wait_for_url("**/login?msg=not-authenticated", timeout=20_000)
