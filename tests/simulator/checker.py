"""Decides whether a history may have happened; the names are those of the promises."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

from argos.agent.loop import LEASE_AHEAD_S
from argos.channels import NoticeKind, recipient_name
from argos.core.cause import hold_interval
from argos.core.flapping import STEADY_RUNS
from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.server.columns import to_epoch_us
from tests.simulator import votes
from tests.simulator.history import History, Lease, Move, StoredEvent, moves_by_task
from tests.simulator.virtual_time import START

LAG_S = 5.0
HOUSEWORK = timedelta(hours=3)
"""So often it is done at least, in calm times."""
OK_STATUSES = {"200": {200}, "[200,404]": {200, 404}}


def violations(history: History) -> list[str]:
    """What the history breaks of the promises; empty when all held."""
    return [
        f"{each.__name__.split('_')[0].upper().replace('I', 'I-')}: {text}"
        for each in CHECKS
        for text in each(history)
    ]


def i01_each_run_is_handed_out_once_and_soon(history: History) -> Iterable[str]:
    numbers = [(lease.group_id, lease.lease_no) for lease in history.leases]
    if len(numbers) != len(set(numbers)):
        yield "one lease number was given out twice"
    for lease in history.leases:
        if lease.true_s < history.calm_s + history.period_s or not lease.planned_at:
            continue
        lag = lease.true_s - (lease.planned_at - START).total_seconds()
        # A lease may come ahead of the run; the agent waits with it.
        if not -LEASE_AHEAD_S - 0.01 <= lag <= LAG_S:
            yield f"group {lease.group_id} began {lag:.2f} s after it was due"


def i02_a_group_has_one_holder(history: History) -> Iterable[str]:
    ended = {(end.group_id, end.lease_no): end.true_s for end in history.lease_ends}
    for group_id, leases in _by_group(history).items():
        for earlier, later in pairwise(leases):
            end_s = ended.get((group_id, earlier.lease_no), float("inf"))
            # By the clocks of two servers, one of which was wrong, nothing is decided.
            is_skewed = later.leased_at < earlier.leased_at
            is_held = later.true_s < end_s and later.leased_at < earlier.until
            if is_held and not is_skewed:
                yield f"group {group_id}: {later} although {earlier}"


def i03_nothing_starves(history: History) -> Iterable[str]:
    limit = history.period_s + history.lease_s + history.slowest_s + LAG_S
    moments = defaultdict(list)
    for move in history.moves:
        if move.true_s >= history.calm_s:
            moments[move.task_id].append(move.true_s)
    for task in history.tasks:
        if task.is_archived:
            continue
        stops = [history.calm_s, *moments[task.task_id], history.end_s]
        for earlier, later in pairwise(stops):
            if later - earlier > limit:
                yield f"task {task.task_id} idled from {earlier:.0f} to {later:.0f} s"


def i10_nothing_accepted_is_lost(history: History) -> Iterable[str]:
    lost = history.accepted - {result.id for result in history.results}
    if lost:
        yield f"{len(lost)} accepted results are not stored, as {min(lost)}"


def i11_each_run_moves_a_task_once(history: History) -> Iterable[str]:
    keys = [(result.task_id, result.submitted_at) for result in history.results]
    if len(keys) != len(set(keys)):
        yield "one result is stored twice"
    runs = Counter(
        (move.task_id, move.group_id, move.lease_no) for move in history.moves
    )
    for (task_id, _, lease_no), count in runs.items():
        if count > 1:
            yield f"task {task_id} was moved {count} times by lease {lease_no}"


def i11_each_run_is_counted_once(history: History) -> Iterable[str]:
    """By what the triggers saw, and by what is left of it, whatever has rows."""
    rows = Counter(result.task_id for result in history.results)
    moves = moves_by_task(history)
    # What moves nothing has a row: it came late, or we say it ourselves.
    still = Counter[int]()
    for result in history.results:
        if result.is_late or result.agent is None:
            still[result.task_id] += 1
            moments = {move.completed_at for move in moves[result.task_id]}
            if result.is_late and result.submitted_at in moments:
                yield f"{result} had moved its task before"
    for task in history.tasks:
        id_ = task.task_id
        counted = history.counted[id_]
        # A clock that was set back may give two results one moment: with a row, the
        # second one is taken for the first.
        moments = {move.completed_at for move in moves[id_]}
        is_seen = len(moments) <= counted - still[id_] <= len(moves[id_])
        if not is_seen or counted != rows[id_] + history.left_out[id_]:
            yield (
                f"task {id_}: counted {counted}, kept {rows[id_]}, left out"
                f" {history.left_out[id_]}; moved {len(moves[id_])}, still {still[id_]}"
            )


def i12_what_was_spooled_arrives(history: History) -> Iterable[str]:
    lost = history.spooled - history.settled
    if lost:
        yield f"{len(lost)} spooled results never arrived, as {min(lost)}"


def i13_state_follows_run_order(history: History) -> Iterable[str]:
    for task_id, each in moves_by_task(history).items():
        for earlier, later in pairwise(each):
            is_same = later.group_id == earlier.group_id
            if is_same and later.lease_no < earlier.lease_no:
                yield f"task {task_id}: {later} after {earlier}"
    by_task = moves_by_task(history)
    for task in history.tasks:
        moves = by_task[task.task_id]
        if moves and task.severity not in {moves[-1].severity, Severity.UNKNOWN}:
            yield f"task {task.task_id} is {task.severity} after {moves[-1]}"


def i15_only_the_holder_moves_a_task(history: History) -> Iterable[str]:
    holders = {
        (lease.group_id, lease.lease_no): lease.agent for lease in history.leases
    }
    reporters = {
        (result.task_id, result.submitted_at): result.agent
        for result in history.results
    }
    for move in history.moves:
        holder = holders.get((move.group_id, move.lease_no))
        reporter = reporters.get((move.task_id, move.completed_at))
        if reporter is not None and reporter != holder:
            yield f"{reporter} moved task {move.task_id}, which {holder} held"


def i20_events_alternate(history: History) -> Iterable[str]:
    """Opened, maybe worsened, closed; numbered without a gap; told is the last one."""
    events = _events_by_task(history)
    for task in history.tasks:
        told = Severity.OK
        for seq, event in enumerate(events[task.task_id], start=1):
            if event.seq != seq or not _may_follow(event.kind, told):
                yield f"task {task.task_id}: {event} while {told} was told"
            is_over = event.kind is EventKind.CLOSED
            if (task.task_id, seq) in history.archivals and not is_over:
                yield f"task {task.task_id} was taken away while {event} was open"
            told = Severity.OK if is_over else event.severity
        if (task.told_severity, task.event_count) != (told, len(events[task.task_id])):
            yield f"task {task.task_id} has told {task.told_severity}, not {told}"


def i21_each_event_has_its_deliveries(history: History) -> Iterable[str]:
    """Unless an incident speaks for it: then there is no word of it, to its end."""
    stories = _stories(history)
    for incident_id, events in _events_by_incident(history).items():
        for recipient in history.recipients:
            told = [event.id in stories[recipient] for event in events]
            if all(told):
                continue
            # What was silent at first may be told later, but then up to its end.
            is_spared = events[0].parent_id is not None and told == sorted(told)
            is_over = events[-1].kind is EventKind.CLOSED
            if not is_spared or (is_over and told.count(True) == 1):
                yield f"{recipient} was not told all of {events}: {told}"
            elif not told[-1] and not _is_spoken_for(events, recipient, history):
                yield f"nobody speaks to {recipient} for incident {incident_id}"


def _is_spoken_for(events: list[StoredEvent], recipient: str, history: History) -> bool:
    """Whether somebody heard of the one that speaks, and until now it did."""
    speaker = _events_by_incident(history).get(events[0].parent_id or 0, [])
    if not speaker or speaker[0].id not in _stories(history)[recipient]:
        return False
    end_at = START + timedelta(seconds=history.end_s)
    is_over = events[-1].kind is EventKind.CLOSED
    until = events[-1].at if is_over else end_at
    if speaker[-1].kind is not EventKind.CLOSED or (
        until < START + timedelta(seconds=history.calm_s)
    ):
        return True
    # It is looked at once more, and whoever keeps house has to come by.
    wait = hold_interval(timedelta(seconds=history.period_s))
    return until <= speaker[-1].at + wait + HOUSEWORK


def _stories(history: History) -> dict[str, set[int]]:
    """By recipient: the events of which there is a notice that is not kept back."""
    found: dict[str, set[int]] = defaultdict(set)
    for delivery in history.deliveries:
        if delivery.event_id is not None and delivery.state != "held":
            found[recipient_name(delivery.recipient)].add(delivery.event_id)
    return found


def _events_by_incident(history: History) -> dict[int, list[StoredEvent]]:
    incidents = defaultdict(list)
    for event in history.events:
        incidents[event.incident_id].append(event)
    return incidents


def i22_each_recipient_hears_the_story(history: History) -> Iterable[str]:
    events = {event.id: event for event in history.events}
    first: dict[str, float] = {}
    for sent in history.sent:
        first.setdefault(sent.message_id, sent.true_s)
    stories = defaultdict(list)
    for delivery in history.deliveries:
        event = events.get(delivery.event_id or 0)
        if event is not None and delivery.message_id in first:
            moment = first[delivery.message_id]
            stories[event.task_id, delivery.recipient].append((moment, event.seq))
    for (task_id, recipient), story in stories.items():
        told = [seq for _, seq in sorted(story)]
        if told != sorted(told):
            yield f"{recipient} heard of task {task_id} in the order {told}"


def i23_only_failures_in_a_row_are_told(history: History) -> Iterable[str]:
    retries = {task.task_id: task.retries for task in history.tasks}
    moves = moves_by_task(history)
    for event in history.events:
        if event.kind not in votes.OPENINGS:
            continue
        before = [
            move.severity
            for move in _until(moves.get(event.task_id, []), event)[
                -1 - retries[event.task_id] :
            ]
        ]
        if Severity.OK in before or len(before) <= retries[event.task_id]:
            yield f"{event} after {before}"


def i24_no_delivery_is_left(history: History) -> Iterable[str]:
    end_at = START + timedelta(seconds=history.end_s)
    for delivery in history.deliveries:
        is_old = delivery.created_at < end_at - timedelta(minutes=30)
        # What is kept back is looked at above.
        if delivery.state not in {"sent", "held"} and is_old:
            yield f"{delivery}"


def i25_sent_means_sent(history: History) -> Iterable[str]:
    """Marked sent only after it was; sent again only after some trouble."""
    moments = defaultdict(list)
    for sent in history.sent:
        moments[sent.message_id].append(sent.true_s)
    marked: dict[int, float] = {}
    for attempt in history.attempts:
        if attempt.state == "sent":
            marked.setdefault(attempt.delivery_id, attempt.true_s)
    for delivery in history.deliveries:
        times = moments[delivery.message_id]
        if delivery.id in marked and not (
            times and times[0] <= marked[delivery.id] + 0.001
        ):
            yield f"{delivery} was marked before it was sent"
        for earlier, later in pairwise(times):
            if not any(earlier <= trouble <= later for trouble in history.troubles):
                yield f"{delivery} was sent twice without a reason"


def i29_housework_goes_on(history: History) -> Iterable[str]:
    yield from (f"nobody did {name}" for name in history.idle_duties)


def i36_only_websites_cause_severities(history: History) -> Iterable[str]:
    """No clock, no crash and no lost message makes a website better or worse."""
    leases = {(lease.group_id, lease.lease_no): lease for lease in history.leases}
    tasks = {task.task_id: task for task in history.tasks}
    for move in history.moves:
        lease = leases[move.group_id, move.lease_no]
        task = tasks[move.task_id]
        if task.location is not None and move.severity is Severity.UNKNOWN:
            continue  # it was cut off, and says so
        truth = history.truths[task.url, task.location]
        seen = truth.statuses(lease.true_s, move.true_s)
        is_ok = move.severity is Severity.OK
        may_be_ok, may_be_bad = bool(seen & {200, 404}), seen != {200}
        if not (may_be_ok if is_ok else may_be_bad):
            yield f"{move} of a website that gave {sorted(seen)}"


def i22_the_truth_is_told_in_the_end(history: History) -> Iterable[str]:
    last = {event.task_id: event.kind for event in history.events}
    for task in history.tasks:
        is_flapping = last.get(task.task_id) is EventKind.FLAPPING
        runs = (STEADY_RUNS if is_flapping else task.retries) + 3
        start_s = history.end_s - runs * (history.period_s + history.lease_s)
        seen = history.truths[task.url, task.location].statuses(start_s, history.end_s)
        if task.is_archived or len(seen) != 1 or seen == {404}:
            continue
        if task.location is not None:
            continue  # one location of several tells it
        if (task.told_severity is Severity.OK) is not (seen == {200}):
            yield f"task {task.task_id} has told {task.told_severity} of {seen}"


def i38_silence_is_told_once(history: History) -> Iterable[str]:
    calm_at = START + timedelta(seconds=history.calm_s)
    for delivery in history.deliveries:
        kind, _, rest = delivery.message_id.partition(".")
        if kind != NoticeKind.NO_AGENT:
            continue
        if int(rest.partition(".")[0]) > to_epoch_us(calm_at + timedelta(hours=3)):
            yield f"agents were called silent in calm times: {delivery}"


def i50_a_reload_is_all_or_nothing(history: History) -> Iterable[str]:
    for reload in history.reloads:
        is_done, is_undone = (
            reload.after == reload.wanted,
            reload.after == reload.before,
        )
        if not is_done and (reload.was_told_done or not is_undone):
            yield (
                f"at {reload.true_s:.0f} s, told done: {reload.was_told_done}; missing"
                f" {reload.wanted - reload.after}, left {reload.after - reload.wanted}"
            )


CHECKS = (
    tuple(
        value
        for name, value in list(globals().items())
        if name.startswith(("i0", "i1"))
    )
    + tuple(
        value
        for name, value in list(globals().items())
        if name.startswith(("i2", "i3"))
    )
    + (i50_a_reload_is_all_or_nothing,)
    + votes.CHECKS
)


def _by_group(history: History) -> dict[int, list[Lease]]:
    groups = defaultdict(list)
    for lease in history.leases:
        groups[lease.group_id].append(lease)
    return groups


def _events_by_task(history: History) -> dict[int, list[StoredEvent]]:
    tasks = defaultdict(list)
    for event in history.events:
        tasks[event.task_id].append(event)
    return tasks


def _may_follow(kind: EventKind, told: Severity) -> bool:
    return (kind in votes.OPENINGS) is (told is Severity.OK)


def _until(moves: list[Move], event: StoredEvent) -> list[Move]:
    """The moves of a task up to the one that an event is of."""
    for place, move in enumerate(moves, start=1):
        if move.completed_at == event.at and move.severity is event.severity:
            return moves[:place]
    return []
