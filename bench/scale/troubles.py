"""Statements that fill in incidents, with their events and notices.

The open ones of a website are gathered under its first, and those of every third website
under one incident, as when an address serves many websites.
"""

TROUBLES = (
    """
INSERT INTO incidents (task_id, opened_at, closed_at, severity)
SELECT t.id, {past}, {past_end}, CAST('critical' AS {severity}) FROM tasks t
WHERE t.id % 50 = 0
""",
    """
INSERT INTO incidents (task_id, opened_at, severity)
SELECT t.id, t.severity_since, t.severity FROM tasks t
WHERE t.severity <> 'ok' AND t.archived_at IS NULL
""",
    """
CREATE TEMPORARY TABLE bench_leaders AS
SELECT t.website_id, min(i.id) AS id FROM incidents i JOIN tasks t ON t.id = i.task_id
WHERE i.closed_at IS NULL GROUP BY t.website_id
""",
    """
UPDATE incidents AS i SET
  parent_id = CASE WHEN l.website_id % 3 = 0 THEN f.id ELSE l.id END,
  cause = CASE WHEN l.website_id % 3 = 0 THEN 'address' ELSE 'website' END
FROM tasks t, bench_leaders l,
  (SELECT min(id) AS id FROM bench_leaders WHERE website_id % 3 = 0) f
WHERE t.id = i.task_id AND l.website_id = t.website_id AND i.closed_at IS NULL
  AND i.id <> CASE WHEN l.website_id % 3 = 0 THEN f.id ELSE l.id END
""",
    """
DROP TABLE bench_leaders
""",
    """
INSERT INTO events (task_id, seq, incident_id, kind, at, severity, previous_severity,
  reason, status, agent_id, facts)
SELECT i.task_id, CASE WHEN i.closed_at IS NULL THEN t.event_count ELSE 1 END, i.id,
  CAST('opened' AS {kind}), i.opened_at, i.severity, CAST('ok' AS {severity}),
  'first_failure', CAST('failure' AS {status}), 'paris',
  CAST('{{"expected": "200", "retrieved": 503}}' AS {json})
FROM incidents i JOIN tasks t ON t.id = i.task_id
""",
    """
INSERT INTO events (task_id, seq, incident_id, kind, at, severity, previous_severity,
  reason, status, agent_id, facts)
SELECT i.task_id, 2, i.id, CAST('closed' AS {kind}), i.closed_at,
  CAST('ok' AS {severity}), i.severity, 'recovered', CAST('success' AS {status}),
  'paris', CAST('{{}}' AS {json})
FROM incidents i WHERE i.closed_at IS NOT NULL
""",
    """
INSERT INTO deliveries (event_id, recipient, state, created_at, due_at, attempts,
  sent_at, message_id)
SELECT e.id, 'local',
  CAST(CASE WHEN e.id % 1000 = 0 THEN 'dead' ELSE 'sent' END AS {state}),
  e.at, e.at, 1, CASE WHEN e.id % 1000 <> 0 THEN e.at END, 'bench-' || e.id
FROM events e
""",
)
"""In the order in which they build on each other; see `bench.scale.fill` for the words."""

EVENT_COUNT = """
CASE WHEN {bad} THEN 1 ELSE 0 END + CASE WHEN t.id % 50 = 0 THEN 2 ELSE 0 END
"""

AGENTS = """
INSERT INTO agents (name, created_at, last_seen_at, version, slots, busy, location)
SELECT 'agent' || t.id, {now}, {now}, '1', 100, 40, 'paris' FROM tasks t WHERE t.id <= 20
"""
