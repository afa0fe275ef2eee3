"""Texts that would be scripts, in a real browser: none is executed."""

from datetime import datetime
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser
from sqlalchemy import insert, update

from argos.server.database import Database
from argos.server.models import (
    Agent,
    Event,
    Result,
    Task,
    Website,
)
from tests.server.browser.profiles import PAGES, Complaints, open_context

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
