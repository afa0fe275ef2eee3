"""Second opinions that do not come: tell the problem anyway, or drop it.

Without this, a problem that one agent saw would wait for another one for ever.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from argos.core.incident import (
    Reason,
    Step,
    end_unseen,
    forget_witness,
    tell_unconfirmed,
)
from argos.core.severity import Severity
from argos.server.database import Session
from argos.server.queries import (
    agents as agent_queries,
    results as queries,
    states,
    views,
)
from argos.server.queries.results import TaskRow
from argos.server.services import presence
from argos.server.services.change import Change, change_without_result
from argos.server.services.presence import Presence
from argos.server.services.publish import publish
from argos.server.services.upkeep import Work
from argos.server.services.votes import count_votes

CHUNK_ROWS = 1_000


def settle_unanswered(work: Work) -> None:
    """Drop what only suspect agents saw; tell what nobody looked at in time.

    And end the incidents of locations from where nobody looks any more, when the others
    find all well.
    """
    seen = presence.look(Presence.read(work.note), now=work.now)
    work.note = seen.write()
    _drop_suspects_findings(work)
    _tell_unanswered(work, seen.watched_since)
    _end_orphans(work, seen.watched_since)


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


def _tell_unanswered(work: Work, watched_since: datetime) -> None:
    list_unanswered = partial(
        states.list_unanswered,
        now=work.now,
        watched_since=watched_since,
        count=CHUNK_ROWS,
    )
    with work.database.reading() as session:
        if not list_unanswered(session):
            return
    with work.transaction() as session:
        ids = list_unanswered(session)
        rows = queries.lock_tasks(session, ids=sorted(ids))
        found = states.list_doubtful_results(session, ids=list(rows))
        changes, news = [], []
        for row in rows.values():
            if row.confirming_since is None:
                continue
            severity, agent, facts = found.get(row.id, (row.severity, None, {}))
            step = tell_unconfirmed(states.read_state(row), severity)
            change = change_without_result(
                row, step, row.severity, facts=facts, agent=agent
            )
            changes.append(change)
            # Whoever looked since may not have seen anything: the first word counts.
            news.append(change.at(change.move.completed_at, severity=severity))
        _write(session, changes)
        publish(session, changes=news, config=work.config, now=work.now)
    work.wants_more |= len(ids) == CHUNK_ROWS


def _end_orphans(work: Work, watched_since: datetime) -> None:
    list_orphans = partial(
        views.list_orphans,
        now=work.now,
        watched_since=watched_since,
        count=CHUNK_ROWS,
    )
    with work.database.reading() as session:
        ids = list_orphans(session)
    if not ids:
        return
    with work.transaction() as session:
        rows = queries.lock_tasks(session, ids=sorted(ids))
        votes = count_votes(session, tasks=rows.values(), now=work.now)
        still = set(list_orphans(session))
        changes = [
            change_without_result(row, _end(row), Severity.OK)
            for row in rows.values()
            if row.id in still
            and (ballot := votes.ballots.get(row.id)) is not None
            and ballot.is_answered
            and not ballot.is_enough_without_own
        ]
        _write(session, changes)
        # It ends now, and not when the location that is gone looked last.
        ends = [change.at(work.now, severity=Severity.OK) for change in changes]
        publish(session, changes=ends, config=work.config, now=work.now)
        states.withdraw_severities(session, ids=[change.task.id for change in changes])


def _end(row: TaskRow) -> Step:
    return end_unseen(states.read_state(row), Reason.OK_ELSEWHERE)


def _write(session: Session, changes: Sequence[Change]) -> None:
    queries.move_tasks(session, moves=[change.move for change in changes])
    states.move_states(
        session,
        moves=[
            states.state_move(change.task.id, change.step.state) for change in changes
        ],
    )
