"""Second opinions that do not come: tell the problem anyway, or drop it.

Without this, a problem that one agent saw would wait for another one for ever.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from argos.core.incident import Step, end_orphan, forget_witness, tell_unconfirmed
from argos.core.severity import Severity, Status
from argos.server.database import Session
from argos.server.queries import (
    agents as agent_queries,
    results as queries,
    states,
    views,
)
from argos.server.queries.results import TaskMove, TaskRow
from argos.server.services.change import Change
from argos.server.services.publish import publish
from argos.server.services.upkeep import Work
from argos.server.services.votes import count_votes

CHUNK_ROWS = 1_000


def settle_unanswered(work: Work) -> None:
    """Drop what only suspect agents saw; tell what nobody looked at in time.

    And end the incidents of locations from where nobody looks any more, when the others
    find all well.
    """
    _drop_suspects_findings(work)
    _tell_unanswered(work)
    _end_orphans(work)


def _drop_suspects_findings(work: Work) -> None:
    with work.database.reading() as session:
        suspects = agent_queries.list_suspects(session)
    for agent in sorted(suspects):
        with work.transaction() as session:
            ids = states.list_seen_by(session, agent=agent, count=CHUNK_ROWS)
            rows = queries.lock_tasks(session, ids=sorted(ids))
            found = [row for row in rows.values() if row.seen_by == agent]
            states.move_states(
                session,
                moves=[
                    states.state_move(
                        row.id, forget_witness(states.read_state(row), agent)
                    )
                    for row in found
                ],
            )
            states.withdraw_severities(session, ids=[row.id for row in found])
        work.wants_more |= len(ids) == CHUNK_ROWS


def _tell_unanswered(work: Work) -> None:
    with work.transaction() as session:
        ids = states.list_unanswered(session, now=work.now, count=CHUNK_ROWS)
        rows = queries.lock_tasks(session, ids=sorted(ids))
        facts = states.list_last_facts(session, ids=list(rows))
        changes = [
            _change(
                row,
                tell_unconfirmed(states.read_state(row), row.severity),
                row.severity,
                facts.get(row.id, {}),
            )
            for row in rows.values()
            if row.confirming_since is not None
        ]
        _write(session, changes)
        publish(session, changes=changes, config=work.config, now=work.now)
    work.wants_more |= len(ids) == CHUNK_ROWS


def _end_orphans(work: Work) -> None:
    with work.database.reading() as session:
        ids = views.list_orphans(session, now=work.now, count=CHUNK_ROWS)
    if not ids:
        return
    with work.transaction() as session:
        rows = queries.lock_tasks(session, ids=sorted(ids))
        votes = count_votes(session, tasks=rows.values(), now=work.now)
        still = set(views.list_orphans(session, now=work.now, count=CHUNK_ROWS))
        changes = [
            _change(row, end_orphan(states.read_state(row)), Severity.OK, {})
            for row in rows.values()
            if row.id in still
            and (ballot := votes.ballots.get(row.id)) is not None
            and ballot.is_answered
            and not ballot.is_enough_without_own
        ]
        _write(session, changes)
        # It ends now, and not when the location that is gone looked last.
        ends = [
            replace(change, move=change.move._replace(completed_at=work.now))
            for change in changes
        ]
        publish(session, changes=ends, config=work.config, now=work.now)
        states.withdraw_severities(session, ids=[change.task.id for change in changes])


def _write(session: Session, changes: Sequence[Change]) -> None:
    queries.move_tasks(session, moves=[change.move for change in changes])
    states.move_states(
        session,
        moves=[
            states.state_move(change.task.id, change.step.state) for change in changes
        ],
    )


def _change(
    task: TaskRow, step: Step, severity: Severity, facts: Mapping[str, Any]
) -> Change:
    """What is told without a new result, as of the last one and with its facts."""
    assert task.completed_at is not None
    move = TaskMove(
        id=task.id,
        severity=severity,
        severity_since=task.severity_since or task.completed_at,
        completed_at=task.completed_at,
        last_status=task.last_status or Status.ERROR,
        contiguous_failures=step.state.contiguous_failures,
        failing_since=step.state.failing_since,
        told_severity=step.state.told,
        already_retried=task.recheck_delay is not None,
        applied_lease_no=task.applied_lease_no,
        event_count=task.event_count + 1,
        open_hour=task.open_hour,
        open_counts=task.open_counts,
    )
    return Change(task, move, step, task.seen_by or "", json.dumps(facts))
