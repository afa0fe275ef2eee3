"""What to ask a server for: every page and every call that reads, with ids that exist."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from argos.schemas import Config
from argos.server.database import Database
from argos.server.routes.templating import STATIC_FILES
from argos.server.services.signed_link import LIFETIME, Acknowledging, LinkSigner

RANGES = ("6h", "24h", "7d", "30d")
WEBSITE_STATES = ("all", "not-ok", "critical", "warning", "unknown", "ok")
NOTICE_STATES = ("all", "waiting", "sent", "dead")
INCIDENT_STATES = ("all", "open", "closed")

PATHS: Mapping[str, Sequence[str]] = {
    "/": ["/"],
    "/domains": [
        *(f"/domains?s={state}" for state in WEBSITE_STATES),
        "/domains?q=site000042",
        "/domains?q=00042",
        "/domains?q=no-such-thing",
        "/domains?s=critical&q=no-such-thing",
        "/domains?after=0.{middle_id}.{middle_host}",
        "/domains?after=3.{middle_id}.{middle_host}",
    ],
    "/domain/{host}": [
        *(f"/domain/{{long_host}}?range={each}" for each in RANGES),
        "/domain/{middle_host}",
        "/domain/{bad_host}",
    ],
    "/task/{task_id}/results": [
        *(f"/task/{{long_task}}/results?range={each}" for each in RANGES),
        "/task/{long_task}/results?before={yesterday}",
        "/task/{bad_task}/results",
    ],
    "/result/{result_id}": ["/result/{result}"],
    "/incidents": [
        *(f"/incidents?s={state}" for state in INCIDENT_STATES),
        *(
            f"/incidents?s={state}&before={{incident_place}}"
            for state in INCIDENT_STATES
        ),
    ],
    "/incident/{incident_id}": [
        "/incident/{incident}",
        "/incident/{leader}",
        "/incident/{past_incident}",
    ],
    "/acknowledge/{incident_id}": ["/acknowledge/{incident}?{signed}"],
    "/notices": [
        *(f"/notices?s={state}" for state in NOTICE_STATES),
        "/notices?before={notice}",
    ],
    "/silences": ["/silences"],
    "/agents": ["/agents"],
    "/login": ["/login"],
    "/account": ["/account"],
    "/static/{name}": [f"/static/{name}" for name in sorted(STATIC_FILES)],
    "/favicon.ico": ["/favicon.ico"],
    "/docs": ["/docs"],
    "/openapi.json": ["/openapi.json"],
    "/api/app/version": ["/api/app/version"],
    "/api/app/": ["/api/app/"],
    "/api/app/agents": ["/api/app/agents"],
    "/api/app/agents/details": ["/api/app/agents/details"],
    "/api/app/domains": ["/api/app/domains"],
    "/api/app/notices": [
        *(f"/api/app/notices?state={state}&limit=500" for state in NOTICE_STATES),
    ],
    "/api/app/channels": ["/api/app/channels"],
    "/api/app/webhook-schema": ["/api/app/webhook-schema"],
    "/api/app/incidents": [
        *(f"/api/app/incidents?state={state}&limit=500" for state in INCIDENT_STATES),
    ],
    "/api/app/incidents/{incident_id}": [
        "/api/app/incidents/{incident}",
        "/api/app/incidents/{leader}",
    ],
    "/api/app/silences": ["/api/app/silences"],
    "/api/stats": ["/api/stats"],
    "/api/app/websites/{host}/statistics": [
        "/api/app/websites/{long_host}/statistics",
        "/api/app/websites/{bad_host}/statistics",
    ],
    "/api/app/tasks/{task_id}/statistics": ["/api/app/tasks/{long_task}/statistics"],
    "/api/severities": ["/api/severities"],
    "/healthz": ["/healthz"],
    "/readyz": ["/readyz"],
}
"""By route; a test compares them with all that there are."""

NOT_ASKED = frozenset({"/logout", "/api/app/logout", "/api/tasks"})
"""They end the session, or lease: agents' calls are measured apart."""

_IDS = """
SELECT (SELECT min(id) FROM tasks) AS long_task,
  (SELECT max(id) FROM results) AS result,
  (SELECT max(id) / 2 FROM deliveries) AS notice,
  (SELECT max(id) FROM incidents WHERE closed_at IS NULL) AS incident,
  (SELECT max(id) FROM incidents WHERE closed_at IS NOT NULL) AS past_incident,
  (SELECT parent_id FROM incidents WHERE parent_id IS NOT NULL
   GROUP BY parent_id ORDER BY count(*) DESC LIMIT 1) AS leader
"""
_BAD = """
SELECT t.id AS bad_task, w.host AS bad_host FROM tasks t
JOIN websites w ON w.id = t.website_id
WHERE t.severity <> 'ok' AND t.archived_at IS NULL LIMIT 1
"""
_WEBSITES = """
SELECT id, host FROM websites
WHERE id IN ((SELECT min(id) FROM websites), (SELECT max(id) / 2 + 1 FROM websites))
ORDER BY id
"""


def page_paths(database: Database, config: Config) -> list[str]:
    """All of them, for a filled database."""
    values = _values(database, config)
    return [path.format(**values) for paths in PATHS.values() for path in paths]


def _values(database: Database, config: Config) -> Mapping[str, Any]:
    now = datetime.now(UTC)
    with database.reading() as session:
        ids = dict(session.execute(text(_IDS)).mappings().one())
        bad = session.execute(text(_BAD)).mappings().first()
        websites = session.execute(text(_WEBSITES)).all()
    first, middle = websites[0], websites[-1]
    # Nothing is bad in a small fleet: what is asked for instead does as well.
    found = {"bad_task": ids["long_task"], "bad_host": first.host, **(bad or {})}
    named = {name: value or 0 for name, value in ids.items()}
    yesterday = now - timedelta(days=1)
    wish = Acknowledging(named["incident"], "local", now + LIFETIME)
    return {
        **named,
        **found,
        "leader": named["leader"] or named["incident"],
        "long_host": first.host,
        "middle_id": middle.id,
        "middle_host": middle.host,
        "yesterday": yesterday.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "incident_place": f"{int(yesterday.timestamp()) * 1_000_000}.1",
        "signed": LinkSigner.of(config).query(wish),
    }
