"""Take over what agents report: results, states, incidents, deliveries, next runs.

One transaction for each batch. Rows are locked in the order of their ids, so that two
batches never wait for each other in a circle; nothing is sent from here.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, starmap
from operator import itemgetter

from argos.checks.base import FinalizeRules
from argos.core.incident import EventKind, Outcome, Patience, Reason, Step, advance
from argos.core.schedule import EPOCH
from argos.core.severity import Severity, Status
from argos.protocol import (
    DOUBT,
    MAX_REPORT_RESULTS,
    AgentResult,
    Refusal,
    ReportAnswer,
)
from argos.schemas import Config
from argos.schemas.config import Keep
from argos.server.database import Database, Session
from argos.server.queries import results as queries, storing
from argos.server.queries.calm import (
    CalmMove,
    Glance,
    move_calm_tasks,
    move_logs,
    move_ranges,
)
from argos.server.queries.counting import add_gaps
from argos.server.queries.results import ScheduleRow, TaskMove, TaskRow
from argos.server.queries.states import StateMove, move_states, read_state, state_move
from argos.server.queries.storing import NewResult
from argos.server.services.agent_watch import AgentWatch, Case
from argos.server.services.calm import CalmRun
from argos.server.services.change import Change
from argos.server.services.counting import Counting
from argos.server.services.judging import WELL, finalize, finalize_rules, stored_context
from argos.server.services.keeping import Keeping
from argos.server.services.looks import Verdicts, calm_looks, looks
from argos.server.services.lookup import Lookup
from argos.server.services.moves import RefusedItem, measured_at, moves_state, task_move
from argos.server.services.publish import publish
from argos.server.services.report import ReadItem, ReadResult, is_cut_off, read_items
from argos.server.services.run import Run
from argos.server.services.second_opinion import Question, Witnesses
from argos.server.services.votes import Votes, count_votes, is_voted_on

log = logging.getLogger(__name__)

MAX_LOGGED = 20
"""Of one report's refused results; the agent hears of each."""
NOT_BELIEVED = "The agent fails on most websites, where other agents succeed."


def ingest(
    database: Database,
    *,
    agent: str,
    items: Sequence[object],
    config: Config,
    now: datetime,
    watch: AgentWatch | None = None,
) -> ReportAnswer:
    """Take over a report of an agent; bad items are refused, each with its reason.

    `watch` notices agents that fail where others succeed.
    """
    answer = ReportAnswer(result_ids=[], refused=[])
    for start in range(0, len(items), MAX_REPORT_RESULTS):
        part = items[start : start + MAX_REPORT_RESULTS]
        read, refused = read_items(part, first_index=start)
        batch = Batch(agent=agent, config=config, now=now, watch=watch)
        with database.transaction() as session:
            batch.take(session, read)
        answer.result_ids.extend(batch.result_ids())
        answer.refused.extend(sorted(refused + batch.refused, key=lambda no: no.index))
    _log_refused(agent, answer.refused)
    return answer


def _log_refused(agent: str, refused: Sequence[Refusal]) -> None:
    for refusal in refused[:MAX_LOGGED]:
        log.warning(
            "A result of agent %s for task %s was refused: %s",
            agent, refusal.task_id, refusal.reason,
        )  # fmt: skip
    if more := len(refused[MAX_LOGGED:]):
        log.warning("So were %d more results of agent %s.", more, agent)


@dataclass(slots=True)
class Batch:
    """A batch on its way from items to rows."""

    agent: str
    config: Config
    now: datetime
    watch: AgentWatch | None = None
    refused: list[Refusal] = field(default_factory=list)
    _results: list[NewResult] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)
    """Of their items in the report."""
    _glances: dict[int, Glance] = field(default_factory=dict)
    _tasks: dict[int, TaskRow] = field(default_factory=dict)
    """Those that are not calm, or are not found ok."""
    _maintained: frozenset[int] = frozenset()
    """The tasks that are being worked on."""
    _schedules: dict[int, ScheduleRow] = field(default_factory=dict)
    _moves: list[TaskMove] = field(default_factory=list)
    _calm_moves: list[CalmMove] = field(default_factory=list)
    _moved: dict[int, datetime] = field(default_factory=dict)
    """By the tasks that are moved: when their run was measured."""
    _states: list[StateMove] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)
    _runs: dict[int, Run] = field(default_factory=dict)
    _ids: list[tuple[int, Sequence[int]]] = field(default_factory=list)
    """Of the stored results, with the first of their items' places in the report."""
    _stored_at: dict[int, datetime] = field(default_factory=dict)
    """By tasks whose last run is reported once more: when it was measured."""
    _last_run: tuple[object, datetime] = (None, EPOCH)
    """The run of the last item, and when that was measured."""
    _votes: Votes = field(default_factory=Votes)
    _witnesses: Witnesses | None = None
    _is_suspect: bool = False
    _keeping: Keeping = field(init=False)

    def take(self, session: Session, read: Sequence[ReadItem]) -> None:
        """Decide on each item, then write all at once."""
        if not read:
            return
        rules = finalize_rules(self.config)
        lookup = Lookup(session, self.agent, self.config, self.now, rules)
        calm, others = lookup.part(
            read, in_runs=self.config.results.keep is not Keep.CHANGES
        )
        self._glances, self._schedules = lookup.tasks, lookup.schedules
        self._maintained = lookup.maintained
        self._keeping = Keeping(self.config, self._glances, self.now)
        self._load_repeated(session, others)
        self._witnesses = Witnesses(session, agent=self.agent, now=self.now)
        verdicts = self._finalize(others, rules)
        self._load_restless(session, others, verdicts)
        self._is_suspect = self._watch_agent(session, others, verdicts, calm)
        for item in others:
            try:
                self._take_item(item, verdicts)
            except RefusedItem as refusal:
                self._refuse(item, str(refusal))
        self._write(session, calm)

    def _write(self, session: Session, calm: Sequence[CalmRun]) -> None:
        for one in calm:
            self._runs[one.schedule.id] = Run(one.schedule, one.results.submitted_at)
        keeping = self._keeping
        keeping.sort(self._results, calm=self._calm_moves, moves=self._moves)
        stored = storing.add_results(session, results=keeping.kept)
        runs = [one.results for one in calm]
        stored_calm = storing.add_run_results(session, runs=runs)
        calm_stored = list(zip(calm, stored_calm, strict=True))
        self._ids = [
            (place, [one.id])
            for place, one in zip(self._kept_places(), stored, strict=True)
        ]
        for one, of_run in calm_stored:
            self._ids += one.ids(of_run)
        counting = Counting(
            self._moves,
            self._calm_moves,
            [run.end() for run in self._runs.values()],
            self._glances,
            self._schedules,
        )
        counting.count(keeping.kept, stored)
        counting.count_unstored(keeping.left_out.values())
        ranges = list(chain.from_iterable(starmap(counting.count_run, calm_stored)))
        queries.move_tasks(session, moves=counting.task_moves())
        move_calm_tasks(
            session,
            moves=counting.calm_task_moves(),
            left_out=keeping.left_out,
            standing=keeping.standing,
        )
        move_ranges(session, moves=ranges)
        move_logs(session, moves=keeping.log_moves)
        move_states(session, moves=self._states)
        queries.move_schedules(session, moves=counting.schedule_moves())
        counting.write_closed(session)
        self._votes.ask_others(session, now=self.now)
        gaps = [run.gap() for run in self._runs.values()]
        add_gaps(session, gaps=[gap for gap in gaps if gap])
        publish(session, changes=self._changes, config=self.config, now=self.now)

    def result_ids(self) -> list[int]:
        """The ids of the stored results, in the order of the items."""
        parts = sorted(self._ids, key=itemgetter(0))
        return list(chain.from_iterable(ids for _, ids in parts))

    def _kept_places(self) -> Iterable[int]:
        """The places of the results that have rows."""
        left_out = self._keeping.left_out
        for place, result in zip(self._places, self._results, strict=True):
            if left_out.get(result.task_id) is not result:
                yield place

    def _load_repeated(self, session: Session, read: Sequence[ReadItem]) -> None:
        ids = [
            task.id
            for item in read
            if (task := self._glances.get(item.result.task_id)) is not None
            and item.result.lease_no == task.applied_lease_no
        ]
        if ids:
            self._stored_at = queries.list_completed_at(session, ids=ids)

    def _finalize(self, read: Sequence[ReadItem], rules: FinalizeRules) -> Verdicts:
        return {
            item.index: finalize(item, task, rules)
            for item in read
            if (task := self._glances.get(item.result.task_id)) is not None
        }

    def _load_restless(
        self, session: Session, read: Sequence[ReadItem], verdicts: Verdicts
    ) -> None:
        """Read all of the tasks that may change by more than their last ok."""
        ids = {
            item.result.task_id
            for item in read
            if (verdict := verdicts.get(item.index))
            and (verdict != WELL or not self._glances[item.result.task_id].is_calm)
        }
        if ids:
            self._tasks = queries.lock_tasks(session, ids=sorted(ids))
        self._votes = count_votes(session, tasks=self._tasks.values(), now=self.now)

    def _take_item(self, item: ReadItem, verdicts: Verdicts) -> None:
        task = self._glances.get(item.result.task_id)
        if task is None:
            raise RefusedItem("There is no such task.")
        schedule = self._schedules.get(task.group_id or 0)
        is_moving = (
            moves_state(item.result, task, schedule, agent=self.agent)
            # The same run again, in this batch, finds its state moved.
            and task.id not in self._moved
        )
        if not is_moving and self._keeping.knows(task, item.result.lease_no):
            return
        submitted_at = self._measured_at(item.result, schedule, task)
        if self._keeping.is_sparing and self._moved.get(task.id) == submitted_at:
            return  # the same result twice in this batch, of which one has no row
        status, severity = verdicts[item.index]
        context = stored_context(item, task.check, status)
        is_doubted = severity is not Severity.OK and (
            self._is_suspect or is_cut_off(item)
        )
        if is_doubted:
            status, severity = Status.ERROR, Severity.UNKNOWN
            context = json.dumps({DOUBT: NOT_BELIEVED} | item.facts)
        result = NewResult(
            task.id,
            self.agent,
            submitted_at,
            self.now,
            status,
            severity,
            context,
            not is_moving,
            task.id in self._maintained,
            *item.timings,
        )
        self._results.append(result)
        self._places.append(item.index)
        if is_moving:
            assert schedule is not None
            self._moved[task.id] = submitted_at
            run = self._runs.get(schedule.id)
            if run is None:
                run = self._runs[schedule.id] = Run(schedule)
            restless = self._tasks.get(task.id)
            if restless is None:
                move = CalmMove(task.id, submitted_at, schedule.lease_no)
                self._calm_moves.append(move)
                run.end_at(submitted_at)
            else:
                self._move(item, restless, run, is_doubted=is_doubted)

    def _measured_at(
        self,
        result: AgentResult | ReadResult,
        schedule: ScheduleRow | None,
        task: Glance,
    ) -> datetime:
        """When a result was measured; the checks of a run are at one moment."""
        stored_at = self._stored_at.get(task.id) if self._stored_at else None
        key = result.elapsed_us, result.leased_at, task.group_id
        if stored_at is None and key == self._last_run[0]:
            return self._last_run[1]
        moment = measured_at(
            result, schedule, stored_at=stored_at, now=self.now, config=self.config
        )
        if stored_at is None:
            self._last_run = key, moment
        return moment

    def _move(
        self, item: ReadItem, task: TaskRow, run: Run, *, is_doubted: bool
    ) -> None:
        result, schedule = self._results[-1], run.schedule
        before = read_state(task)
        step, question = self._advance(task, result, schedule, is_doubted)
        move = task_move(task, result, step, lease_no=schedule.lease_no)
        self._moves.append(move)
        remembered = state_move(task.id, step.state)
        if remembered != state_move(task.id, before):
            self._states.append(remembered)
        if step.event is not None:
            facts = item.context
            if step.event is not EventKind.CLOSED:
                facts = self._votes.with_witnesses(facts, task)
            self._changes.append(Change(task, move, step, self.agent, facts))
        run.add(move, recheck_delay=task.recheck_delay, question=question)

    def _advance(
        self, task: TaskRow, result: NewResult, schedule: ScheduleRow, is_doubted: bool
    ) -> tuple[Step, Question | None]:
        """The step, and whom to ask for a second opinion, if anybody."""
        assert self._witnesses is not None
        state = read_state(task)
        outcome = Outcome(
            result.severity,
            result.submitted_at,
            agent=self.agent,
            is_doubted=is_doubted,
        )
        # Whether there is anybody to ask is looked up when somebody is to be asked.
        asks = task.confirm and not is_voted_on(task)
        patience = Patience(
            retries=task.retry_before_notification,
            recoveries=task.recoveries_before_notification,
            asks_another=asks,
            asks_elsewhere=asks,
            ballot=self._votes.ballots.get(task.id),
        )
        step = advance(state, outcome, patience)
        if patience.ballot is not None:
            self._votes.note(task, step)
        if step.reason not in {Reason.CONFIRMING, Reason.AGENT_SUSPECT}:
            return step, None
        question = self._witnesses.question(schedule.pool)
        if step.reason is Reason.CONFIRMING:
            known = replace(
                patience,
                asks_another=question is not None,
                asks_elsewhere=question is not None and question.location is not None,
            )
            step = advance(state, outcome, known)
            question = question if step.reason is Reason.CONFIRMING else None
        return step, question

    def _watch_agent(
        self,
        session: Session,
        others: Sequence[ReadItem],
        verdicts: Verdicts,
        calm: Sequence[CalmRun],
    ) -> bool:
        """Whether the agent is suspect. A problem that is known says nothing of it."""
        if self.watch is None:
            return False
        seen = looks(others, verdicts, self._glances, self._tasks, now=self.now)
        case = Case(session, self.agent, self.config, self.now)
        return self.watch.take(case, [*seen, *calm_looks(calm, now=self.now)])

    def _refuse(self, item: ReadItem, reason: str) -> None:
        self.refused.append(
            Refusal(index=item.index, task_id=item.result.task_id, reason=reason)
        )
