"""The pages: rendered by the server, readable without scripts."""

from fastapi import APIRouter

from argos.server.routes.pages import (
    account,
    agents,
    assets,
    dashboard,
    docs,
    incidents,
    login,
    notices,
    recheck,
    result,
    silences,
    taking_care,
    task,
    website,
    websites,
)

router = APIRouter(include_in_schema=False)
for page in (
    dashboard,
    websites,
    website,
    task,
    result,
    incidents,
    notices,
    silences,
    taking_care,
    agents,
    recheck,
    login,
    account,
    docs,
    assets,
):
    router.include_router(page.router)
