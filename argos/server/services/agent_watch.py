"""Notice an agent that fails wherever others succeed, and when it is well again.

Each server process remembers the looks that it took over itself: with several, each
judges by its share of them. What one finds stands in the agent's row, for all.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from argos.channels import NoticeKind
from argos.core.severity import Severity
from argos.core.suspicion import Finding, Looks, Standing
from argos.language import SOURCE_LANGUAGE, Phrase, mark, texts_in
from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries import agents as queries
from argos.server.services.agent_notice import tell_of_agents
from argos.server.services.notice import Draft

log = logging.getLogger(__name__)

UNSURE_INTERVAL = timedelta(minutes=10)
"""So long a process listens to an agent that was cut off before it listened at all."""
CACHED_INTERVAL = timedelta(seconds=5)
"""How long it may take until a process hears what another one found."""


@dataclass(frozen=True, slots=True)
class Case:
    """The agent that is looked at, and when."""

    session: Session
    agent: str
    config: Config
    now: datetime


class Look(NamedTuple):
    """What a result that was just measured says of how its agent fares."""

    domain: str
    failed: bool
    is_cut_off: bool
    """The agent says itself that it reaches none of its references either."""
    is_untold: bool
    """Nobody was told of a problem there: one that is known says nothing of it."""


class AgentWatch:
    """What one server process knows of how agents fare."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks = Looks()
        self._suspects: frozenset[str] = frozenset()
        self._read_at: datetime | None = None
        self._missed: dict[str, set[str]] = {}
        """By agent: the domains at which it was cut off when it looked last."""
        self._unsure: dict[str, datetime] = {}
        """By agent that others heard to be cut off: since when we hear nothing of it."""

    def take(self, case: Case, looks: Sequence[Look]) -> bool:
        """Take in what an agent has just seen; return whether it is suspect."""
        cut_off = {look.domain for look in looks if look.is_cut_off}
        seen = {look.domain for look in looks} - cut_off
        self.hear(
            case,
            cut_off=cut_off,
            seen=seen,
            has_references=any(look.failed and look.domain in seen for look in looks),
        )
        # What nobody can have seen says nothing beside what others see, either.
        failed: dict[str, bool] = {}
        for look in looks:
            if look.is_untold and look.domain in seen:
                # Of the checks of one run, one failure is enough.
                failed[look.domain] = look.failed or failed.get(look.domain, False)
        self.note(case.agent, failed.items(), at=case.now)
        if any(failed.values()) or self.is_suspect(case):
            return self.judge(case)
        return False

    def note(
        self, agent: str, looks: Iterable[tuple[str, bool]], *, at: datetime
    ) -> None:
        """Remember at which domains an agent has just failed, and at which not."""
        with self._lock:
            for domain, failed in looks:
                self._looks.note(agent, domain, failed=failed, at=at)

    def is_suspect(self, case: Case) -> bool:
        """Whether an agent is suspect, as all processes know it."""
        return case.agent in self._read_suspects(case)

    def hear(
        self,
        case: Case,
        *,
        cut_off: Collection[str],
        seen: Collection[str],
        has_references: bool,
    ) -> None:
        """Take in at which domains an agent says that it is cut off, and at which not.

        It says so itself, at each failure, and needs no other agent to be believed. What
        it reaches all the same, such as websites nearby, does not contradict that; but
        a failure while a reference answered does (`has_references`).
        """
        if not cut_off and not seen:
            return
        suspects = self._read_suspects(case)
        with self._lock:
            is_sure = bool(self._missed.get(case.agent)) or has_references
            missed = self._missed.setdefault(case.agent, set())
            if has_references:
                missed.clear()
            missed -= set(seen)
            missed |= set(cut_off)
            if not missed:
                del self._missed[case.agent]
        if case.agent not in suspects or missed:
            self._unsure.pop(case.agent, None)
        if cut_off and case.agent not in suspects:
            self._suspect(case, Phrase(_CUT_OFF))
        elif (
            case.agent in suspects
            and not missed
            and (is_sure or self._is_sure_by_now(case))
        ):
            self._trust(case, only=_reason(Phrase(_CUT_OFF)))

    def _is_sure_by_now(self, case: Case) -> bool:
        """Whether an agent was heard for long enough, though not when it was cut off.

        Another process heard that, or this one before it was started anew.
        """
        since = self._unsure.setdefault(case.agent, case.now)
        return case.now - since >= UNSURE_INTERVAL

    def judge(self, case: Case) -> bool:
        """Whether an agent is suspect; tells when it begins or ceases to be."""
        suspects = self._read_suspects(case)
        with self._lock:
            finding = self._looks.judge(case.agent, now=case.now, distrusted=suspects)
        was_suspect = case.agent in suspects
        if not was_suspect and finding.standing is Standing.SUSPECT:
            self._suspect(case, _why(finding))
        elif was_suspect and finding.standing is Standing.WELL:
            self._trust(case)
        else:
            return was_suspect
        return not was_suspect

    def _suspect(self, case: Case, why: Phrase) -> None:
        self._read_at = None
        if queries.suspect_agent(
            case.session, name=case.agent, reason=_reason(why), now=case.now
        ):
            _tell(case, _suspicion(case, why))

    def _trust(self, case: Case, *, only: str | None = None) -> None:
        self._read_at = None
        if queries.trust_agent(case.session, name=case.agent, reason=only):
            _tell(case, _trust_again(case))

    def _read_suspects(self, case: Case) -> frozenset[str]:
        known, now = self._read_at, case.now
        # A clock that was set back makes nothing fresh.
        if known is None or not timedelta() <= now - known < CACHED_INTERVAL:
            self._suspects = queries.list_suspects(case.session)
            self._read_at = now
        return self._suspects


def clear_revoked(session: Session, *, config: Config, now: datetime) -> None:
    """End the suspicion of agents that were revoked: nothing more comes from them."""
    for agent in queries.clear_revoked(session):
        words = mark("Agent {agent}, which seemed to be cut off, was revoked")
        case = Case(session, agent, config, now)
        _tell(case, _trust_again(case, words))


_REASON = mark(
    "It failed on {failed} of {domains} websites within a minute, where other agents "
    "succeed."
)

_CUT_OFF = mark("It reached none of its references.")
_UNTIL_THEN = mark("what it cannot reach counts as not measured")


def _why(finding: Finding) -> Phrase:
    return Phrase(_REASON, {"failed": finding.failed, "domains": finding.domains})


def _reason(why: Phrase) -> str:
    return texts_in(SOURCE_LANGUAGE).phrase(why)


def _tell(case: Case, notice: Draft) -> None:
    log.warning("%s", texts_in(SOURCE_LANGUAGE).phrase(notice.title))
    tell_of_agents(
        case.session,
        notice,
        recipients=case.config.general.alerts.no_agent,
        config=case.config,
        agent=case.agent,
    )


def _suspicion(case: Case, why: Phrase) -> Draft:
    return Draft(
        kind=NoticeKind.AGENT_SUSPECT,
        severity=Severity.WARNING,
        at=case.now,
        title=Phrase("Agent {agent} seems to be cut off", {"agent": case.agent}),
        lines=(
            (Phrase("Agent"), case.agent),
            (Phrase("Reason"), why),
            (Phrase("Time"), case.now),
            (Phrase("Until then"), Phrase(_UNTIL_THEN)),
        ),
    )


_TRUSTED = mark("Agent {agent} can be believed again")


def _trust_again(case: Case, words: str = _TRUSTED) -> Draft:
    return Draft(
        kind=NoticeKind.AGENT_TRUSTED,
        severity=Severity.OK,
        at=case.now,
        title=Phrase(words, {"agent": case.agent}),
        lines=(
            (Phrase("Agent"), case.agent),
            (Phrase("Time"), case.now),
        ),
    )
