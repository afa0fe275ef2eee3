"""The list of websites, most urgent first."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from argos.server.queries import websites
from argos.server.queries.websites import (
    WebsiteFilter,
    WebsitePlace,
    WebsiteSearch,
)
from argos.server.routes.access import Viewer
from argos.server.routes.dependencies import Fleet
from argos.server.routes.pages.rows import website_rows
from argos.server.routes.pages.visit import Visit
from argos.server.routes.templating import render

router = APIRouter()

PLACE_PATTERN = r"^[0-3]\.[0-9]{1,18}\.[^\x00]{0,300}$"


@router.get("/domains", name="websites")
def show_websites(
    viewer: Viewer,
    visit: Visit,
    counts: Fleet,
    s: WebsiteFilter = WebsiteFilter.ALL,
    q: Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")] = "",
    after: Annotated[str | None, Query(pattern=PLACE_PATTERN)] = None,
) -> Response:
    """Websites by state and by a part of their name; all of it stands in the URL."""
    search = WebsiteSearch(
        state=s, text=q.strip(), after=parse_place(after) if after else None
    )
    page = websites.list_websites(visit.session, search)
    return render(
        visit.request,
        "websites.html",
        login=viewer.login,
        counts=counts,
        search=search,
        filters=list(WebsiteFilter),
        rows=website_rows(visit.session, page.websites, now=visit.now),
        next_place=format_place(page.next_place) if page.next_place else None,
    )


def format_place(place: WebsitePlace) -> str:
    """A place in the list, as a URL carries it."""
    return f"{place.urgency}.{place.id}.{place.host}"


def parse_place(text: str) -> WebsitePlace:
    """The place of a text that has the pattern of one."""
    urgency, id_, host = text.split(".", 2)
    return WebsitePlace(int(urgency), host, int(id_))
