"""Notice an agent that fails wherever others succeed, and when it is well again.

Each server process remembers the looks that it took over itself: with several, each
judges by its share of them. What one finds stands in the agent's row, for all.
"""

import logging
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from argos.channels import NoticeKind
from argos.core.severity import Severity
from argos.core.suspicion import Finding, Looks, Standing
from argos.language import SOURCE_LANGUAGE, Phrase, mark, texts_in
from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries import agents as queries
from argos.server.services.agent_notice import tell_of_agents
from argos.server.services.notice import Draft
from argos.server.services.wording import format_moment

log = logging.getLogger(__name__)

CACHED_INTERVAL = timedelta(seconds=5)
"""How long it may take until a process hears what another one found."""


class AgentWatch:
    """What one server process knows of how agents fare."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks = Looks()
        self._suspects: frozenset[str] = frozenset()
        self._read_at: datetime | None = None

    def note(
        self, agent: str, looks: Iterable[tuple[str, bool]], *, at: datetime
    ) -> None:
        """Remember at which domains an agent has just failed, and at which not."""
        with self._lock:
            for domain, failed in looks:
                self._looks.note(agent, domain, failed=failed, at=at)

    def is_suspect(self, session: Session, *, agent: str, now: datetime) -> bool:
        """Whether an agent is suspect, as all processes know it."""
        return agent in self._read_suspects(session, now)

    def judge(
        self, session: Session, *, agent: str, config: Config, now: datetime
    ) -> bool:
        """Whether an agent is suspect; tells when it begins or ceases to be."""
        suspects = self._read_suspects(session, now)
        with self._lock:
            finding = self._looks.judge(agent, now=now, distrusted=suspects)
        was_suspect = agent in suspects
        if not was_suspect and finding.standing is Standing.SUSPECT:
            if queries.suspect_agent(
                session, name=agent, reason=_reason(finding), now=now
            ):
                _tell(session, agent, finding, config, now)
        elif was_suspect and finding.standing is Standing.WELL:
            if queries.trust_agent(session, name=agent):
                _tell(session, agent, finding, config, now)
        else:
            return was_suspect
        self._read_at = None
        return not was_suspect

    def _read_suspects(self, session: Session, now: datetime) -> frozenset[str]:
        known = self._read_at
        # A clock that was set back makes nothing fresh.
        if known is None or not timedelta() <= now - known < CACHED_INTERVAL:
            self._suspects = queries.list_suspects(session)
            self._read_at = now
        return self._suspects


_REASON = mark(
    "It failed on {failed} of {domains} websites within a minute, where other agents "
    "succeed."
)


def _why(finding: Finding) -> Phrase:
    return Phrase(_REASON, {"failed": finding.failed, "domains": finding.domains})


def _reason(finding: Finding) -> str:
    return texts_in(SOURCE_LANGUAGE).phrase(_why(finding))


def _tell(
    session: Session, agent: str, finding: Finding, config: Config, now: datetime
) -> None:
    notice = _notice(agent, finding, now)
    log.warning("%s", texts_in(SOURCE_LANGUAGE).phrase(notice.title))
    tell_of_agents(
        session,
        notice,
        recipients=config.general.alerts.no_agent,
        config=config,
        agent=agent,
    )


def _notice(agent: str, finding: Finding, now: datetime) -> Draft:
    time = (Phrase("Time"), format_moment(now))
    if finding.standing is Standing.SUSPECT:
        return Draft(
            kind=NoticeKind.AGENT_SUSPECT,
            severity=Severity.WARNING,
            at=now,
            title=Phrase("Agent {agent} seems to be cut off", {"agent": agent}),
            lines=(
                (Phrase("Agent"), agent),
                (Phrase("Reason"), _why(finding)),
                time,
                (
                    Phrase("Until then"),
                    Phrase("what it cannot reach counts as not measured"),
                ),
            ),
        )
    return Draft(
        kind=NoticeKind.AGENT_TRUSTED,
        severity=Severity.OK,
        at=now,
        title=Phrase("Agent {agent} can be believed again", {"agent": agent}),
        lines=((Phrase("Agent"), agent), time),
    )
