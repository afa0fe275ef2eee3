"""The notice: what there is to tell, before a channel gives it its form."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from argos.core.cause import Common
from argos.core.severity import Severity, Status
from argos.language import SOURCE_LANGUAGE, Texts, texts_in


class NoticeKind(StrEnum):
    """What a notice is about."""

    OPENED = "opened"
    """A task is not ok."""
    WORSENED = "worsened"
    """It became more urgent than was told."""
    CLOSED = "closed"
    """It is ok again."""
    FLAPPING = "flapping"
    """It changes so often that this one notice stands for all of its changes."""
    STEADY = "steady"
    """It changes no more, but stays not ok."""
    LASTING = "lasting"
    """It is still not ok."""
    DIGEST = "digest"
    """Several of these at once."""
    NO_AGENT = "no-agent"
    """No agent is at work: nothing is watched."""
    AGENT_BACK = "agent-back"
    """Agents are at work again."""
    AGENT_GONE = "agent-gone"
    """One agent is not seen any more, while others are."""
    AGENT_RETURNED = "agent-returned"
    """It is seen again."""
    AGENT_SUSPECT = "agent-suspect"
    """An agent fails wherever others succeed: it is not believed."""
    AGENT_TRUSTED = "agent-trusted"
    """It is believed again."""
    OVERDUE = "overdue"
    """Probes are not made in time, though agents are there."""
    IN_TIME = "in-time"
    """They are made in time again."""
    CLOCK_WRONG = "clock-wrong"
    """An agent's clock is off."""
    CLOCK_RIGHT = "clock-right"
    """It is right again."""
    UNDELIVERED = "undelivered"
    """A notice to somebody else was given up."""
    TEST = "test"
    """Somebody wants to see whether notices arrive."""


PROBLEM_OF = {
    NoticeKind.AGENT_BACK: NoticeKind.NO_AGENT,
    NoticeKind.AGENT_RETURNED: NoticeKind.AGENT_GONE,
    NoticeKind.AGENT_TRUSTED: NoticeKind.AGENT_SUSPECT,
    NoticeKind.IN_TIME: NoticeKind.OVERDUE,
    NoticeKind.CLOCK_RIGHT: NoticeKind.CLOCK_WRONG,
}
"""By recovery of what is about no task: the problem that it ends."""

ICONS = {
    Severity.OK: "✅",
    Severity.WARNING: "⚠️",
    Severity.CRITICAL: "❌",
    Severity.UNKNOWN: "❔",
}
"""As 0.10.3 shows them; people filter their mail by them."""


@dataclass(frozen=True, slots=True)
class Item:
    """One change of a task's state, for programs to read."""

    id: str
    """Names the change, whatever message tells of it."""
    kind: str
    title: str
    """One line that tells of it."""
    severity: Severity
    previous_severity: Severity | None
    """What people knew before."""
    status: Status | None
    at: datetime
    since: datetime | None
    """When it began, of a problem; when it had begun, of a recovery."""
    website: str
    """Its host."""
    url: str
    ip_version: str
    check: str
    task_id: int
    incident_id: int | None
    agent: str | None
    """Where it was seen from."""
    reason: str | None
    link: str | None = None
    ending: str | None = None
    """How it ended, if not by being ok again: nobody watches it any more."""
    parent_id: int | None = None
    """The incident that speaks for its own, where one does."""
    common: Common | None = None
    """What it has in common with that one."""
    worst: Severity | None = None
    """The most urgent that was told of its incident."""
    name: str | None = None
    """What people call the website, if they do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of many things that a digest tells of."""

    icon: str
    text: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A message about incidents or about silent agents; plain strings and links.

    All texts may hold what a website or an agent says; control characters are visible
    already, markup is the channel's business.
    """

    message_id: str
    """The same at every attempt, so that a receiver can drop a repeat."""
    kind: NoticeKind
    severity: Severity
    at: datetime
    title: str
    """One line, without "[Argos]"."""
    lines: tuple[tuple[str, str], ...] = ()
    """What there is to know, as pairs of a label and a value."""
    entries: tuple[Entry, ...] = ()
    """Of a digest: everything that it tells of."""
    url: str | None = None
    """Where to read more: in our own pages, by the configured base URL only."""
    acknowledge_url: str | None = None
    """Where to say that somebody takes care of it."""
    task_id: int | None = None
    status: Status | None = None
    items: tuple[Item, ...] = ()
    others: tuple["Notice", ...] = ()
    """Of a digest: the notices in it that are about no task."""
    agent: str | None = None
    """The agent that it is about, if it is about one."""
    references: tuple[str, ...] = ()
    """The ids of earlier messages on the same incidents, oldest first."""
    language: str = SOURCE_LANGUAGE
    own_title: str | None = None
    """The title in the words of the config; None: in ours."""
    own_text: str | None = None
    """The same of all that is below it."""
    own_body: str | None = None
    """The same of all that a webhook posts."""

    @property
    def headline(self) -> str:
        """The title, in the words of the config if it has any."""
        return self.title if self.own_title is None else self.own_title

    @property
    def subject(self) -> str:
        """The title as a mail's subject."""
        return f"[Argos] {self.title}" if self.own_title is None else self.own_title

    @property
    def texts(self) -> Texts:
        """Says the notice's other words."""
        return texts_in(self.language)

    @property
    def see_it(self) -> str:
        """The words of the link."""
        return self.texts.say("See it")

    @property
    def acknowledge_it(self) -> str:
        """The words of the link by which to acknowledge."""
        return self.texts.say("Acknowledge it")

    @property
    def text(self) -> str:
        """The notice as plain text, in our words."""
        say = self.texts.say
        width = max((len(label) for label, _ in self.lines), default=0) + 1
        lines = [f"{label + ':':{width}} {value}" for label, value in self.lines]
        if self.lines and self.entries:
            lines.append("")
        for entry in self.entries:
            lines.append(f"{entry.icon} {entry.text}")
            if entry.url is not None:
                lines.append(f"   {entry.url}")
        if self.url is not None or self.acknowledge_url is not None:
            lines.append("")
        if self.url is not None:
            lines.append(say("See it at {url}", url=self.url))
        if self.acknowledge_url is not None:
            lines.append(say("Acknowledge it at {url}", url=self.acknowledge_url))
        return "\n".join([*lines, ""])
