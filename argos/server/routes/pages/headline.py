"""The first sentence of the dashboard. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from argos.core.severity import Severity
from argos.server.queries.overview import FleetCounts
from argos.server.routes import wording
from argos.server.routes.pages.agents import AgentRow


@dataclass(frozen=True, slots=True)
class Headline:
    """A sentence in two parts: what matters, and the rest."""

    severity: Severity
    strong: str
    rest: str = ""


def make_headline(counts: FleetCounts, agents: Sequence[AgentRow]) -> Headline:
    """Say whether anything is wrong."""
    if not counts.check_count:
        return Headline(Severity.UNKNOWN, "Nothing is watched yet")
    if not agents:
        return Headline(
            Severity.UNKNOWN, "No agent has come yet", ", so nothing is measured"
        )
    if not any(agent.is_alive for agent in agents):
        return Headline(
            Severity.CRITICAL, "No agent is at work", ", so nothing is measured"
        )
    return _fleet_headline(counts)


def _fleet_headline(counts: FleetCounts) -> Headline:
    troubled = counts.troubled_website_count
    critical, warning, unknown = (
        counts.websites[severity]
        for severity in (Severity.CRITICAL, Severity.WARNING, Severity.UNKNOWN)
    )
    if critical:
        verb = "has a critical problem" if critical == 1 else "have critical problems"
        others = troubled - critical
        rest = (
            f", {others:,} more {'needs' if others == 1 else 'need'} a look"
            if others
            else ", everything else is fine"
        )
        strong = f"{wording.count(critical, 'website')} {verb}"
        return Headline(Severity.CRITICAL, strong, rest)
    if warning:
        verb = "has a warning" if warning == 1 else "have warnings"
        return Headline(
            Severity.WARNING,
            f"{wording.count(warning, 'website')} {verb}",
            ", nothing is critical",
        )
    if unknown:
        verb = "is" if unknown == 1 else "are"
        return Headline(
            Severity.UNKNOWN,
            f"{wording.count(unknown, 'website')} {verb} not fully measured",
            ", everything else is fine",
        )
    if counts.website_count == 1:
        return Headline(Severity.OK, "Your website is fine")
    return Headline(Severity.OK, f"All {counts.website_count:,} websites are fine")
