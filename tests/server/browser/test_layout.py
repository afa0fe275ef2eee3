"""The pages in a real browser: nothing overflows, nothing complains."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.server.browser.profiles import PAGES, Complaints, open_context


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


def test_another_site_cannot_frame_a_page(browser: Browser, address: str):
    context = open_context(browser, address)
    page = context.new_page()
    page.goto("about:blank")
    page.set_content(f'<iframe src="{address}/login"></iframe>')
    page.wait_for_timeout(1_000)

    frame = page.frames[1]
    assert "Log in" not in frame.content()
    context.close()
