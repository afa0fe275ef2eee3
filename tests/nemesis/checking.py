"""What was told, what should have been told, and whether these are the same."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select

from argos.core.incident import Outcome, Patience, TaskState, advance
from argos.core.severity import Severity
from argos.server.database import Database
from argos.server.models import Delivery, DeliveryState, Event, Incident, Result, Task

_STEP = re.compile(r"(ok|warning|critical|unknown) at (\d\d:\d\d:\d\d) UTC")
_ENTRY = re.compile(r"^\S+ (\S+) \(IPv4\) status-is: (.*)$", re.MULTILINE)
_FIELD = re.compile(r"^(URL|Status|Time): +(.*)$", re.MULTILINE)


class Told(NamedTuple):
    """A change, as every channel shows it."""

    url: str
    severity: str
    moment: str


def is_quiet(database: Database) -> bool:
    """Whether all is ok, and nothing waits to be told."""
    with database.reading() as session:
        waits = select(Delivery.id).where(Delivery.state == DeliveryState.WAITING)
        is_bad = select(Task.id).where(Task.severity != Severity.OK)
        return not session.scalar(waits.limit(1)) and not session.scalar(
            is_bad.limit(1)
        )


def list_events(database: Database) -> dict[str, list[Told]]:
    """What was published, by URL."""
    found: dict[str, list[Told]] = defaultdict(list)
    with database.reading() as session:
        rows = session.execute(
            select(Task.url, Event.severity, Event.at)
            .join(Task, Task.id == Event.task_id)
            .order_by(Event.task_id, Event.seq)
        )
        for url, severity, at in rows:
            found[url].append(Told(url, severity.value, f"{at:%H:%M:%S}"))
    return found


def list_parts(database: Database) -> list[tuple[list[Told], list[Told]]]:
    """The events of each incident for which another one speaks, and those of that one."""
    stories: dict[int, list[Told]] = defaultdict(list)
    speakers: dict[int, int] = {}
    with database.reading() as session:
        rows = session.execute(
            select(
                Task.url,
                Event.severity,
                Event.at,
                Event.incident_id,
                Incident.parent_id,
            )
            .join(Task, Task.id == Event.task_id)
            .join(Incident, Incident.id == Event.incident_id)
            .order_by(Event.incident_id, Event.seq)
        )
        for url, severity, at, incident_id, parent_id in rows:
            story = stories[incident_id]
            story.append(Told(url, severity.value, f"{at:%H:%M:%S}"))
            if parent_id is not None:
                speakers[incident_id] = parent_id
    return [(stories[part], stories[speaker]) for part, speaker in speakers.items()]


def without_silent_parts(
    wanted: Mapping[str, Sequence[Told]],
    parts: Sequence[tuple[list[Told], list[Told]]],
    found: Mapping[str, Sequence[Told]],
) -> dict[str, list[Told]]:
    """What is to be told to whom this was told.

    Of a part there is no word if the speaker's begin was told; or none until something
    happened to it that had to be told, which then stands for what came before.
    """
    told = {each for story in found.values() for each in story}
    silent: set[Told] = set()
    for part, speaker in parts:
        if speaker and speaker[0] in told:
            silent.update(_untold_begin(part, told))
    return {
        url: [each for each in story if each not in silent]
        for url, story in wanted.items()
    }


def _untold_begin(part: Sequence[Told], told: Collection[Told]) -> Sequence[Told]:
    """What may stay untold: all before the first that was told, if that is no recovery."""
    for place, each in enumerate(part):
        if each in told:
            return () if each.severity == Severity.OK.value else part[:place]
    return part


def reduce_results(database: Database) -> dict[str, list[Told]]:
    """What should have been published: the rule, applied to the stored results."""
    states: dict[str, TaskState] = defaultdict(TaskState)
    found: dict[str, list[Told]] = defaultdict(list)
    with database.reading() as session:
        rows = session.execute(
            select(
                Task.url,
                Result.severity,
                Result.submitted_at,
                Result.agent_id,
                Result.is_late,
            )
            .join(Task, Task.id == Result.task_id)
            .where(Result.agent_id.is_not(None))
            .order_by(Result.task_id, Result.submitted_at, Result.id)
        )
        for url, severity, at, agent, is_late in rows:
            if is_late:
                continue  # it moved nothing
            step = advance(states[url], Outcome(severity, at, agent), Patience())
            states[url] = step.state
            if step.event is not None:
                found[url].append(Told(url, severity.value, f"{at:%H:%M:%S}"))
    return found


class Journal:
    """What the sinks took."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        self._lines = [json.loads(line) for line in lines]

    @property
    def targets(self) -> set[str]:
        return {line["target"] for line in self._lines}

    @property
    def cut_count(self) -> int:
        """How many were taken without a word."""
        return sum(line["cut"] for line in self._lines)

    def count_repeats(self) -> int:
        """How many came again, after they had been taken."""
        seen = Counter((line["target"], line["id"]) for line in self._lines)
        return sum(count - 1 for count in seen.values())

    def count_messages(self) -> int:
        return len({(line["target"], line["id"]) for line in self._lines})

    def count_messages_to(self, target: str) -> int:
        return len({line["id"] for line in self._lines if line["target"] == target})

    def told(self, target: str) -> dict[str, list[Told]]:
        """What a target heard of each URL, in order; repeats are left out."""
        found: dict[str, list[Told]] = defaultdict(list)
        seen: dict[str, Any] = {}
        for line in self._lines:
            if line["target"] != target:
                continue
            if line["id"] in seen:
                assert seen[line["id"]] == line["content"], "a repeat says the same"
                continue
            seen[line["id"]] = line["content"]
            for told in _read(line["content"]):
                found[told.url].append(told)
        return found


def _read(content: Any) -> Iterator[Told]:
    """The changes that a message tells of."""
    if isinstance(content, str):
        yield from _read_text(content)
    elif "events" in content:
        for event in content["events"]:
            yield Told(event["url"], event["severity"], event["at"][11:19])
    else:
        plain = re.sub(r"\\(.)", r"\1", content["message"].replace("\\\n", "\n"))
        yield from _read_text(plain.replace("**", ""))


def _read_text(text: str) -> Iterator[Told]:
    fields = dict(_FIELD.findall(text))
    if fields:
        url = fields["URL"].partition(" ")[0]
        yield Told(url, fields["Status"].strip(), fields["Time"][11:19])
    for url, steps in _ENTRY.findall(text):
        for severity, moment in _STEP.findall(steps):
            yield Told(url, severity, moment)


def differences(
    wanted: Mapping[str, Sequence[Told]], found: Mapping[str, Sequence[Told]]
) -> list[str]:
    """In words, where two histories differ."""
    return [
        f"{url}: wanted {list(wanted.get(url, ()))}, found {list(found.get(url, ()))}"
        for url in sorted({*wanted, *found})
        if list(wanted.get(url, ())) != list(found.get(url, ()))
    ]
